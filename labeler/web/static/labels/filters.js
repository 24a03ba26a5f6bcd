// @ts-check
// The filters: fields of a form, the query that they make, and how many pairs each choice has.

import { MAX_SEARCH_CHARS } from "../shared/bounds.js";
import { element, setText } from "../shared/dom.js";
import { CHOICES, FLAGS, PURPOSES, SOURCES, STATES } from "./words.js";

const PAUSE_MS = 250;

/** @typedef {HTMLInputElement | HTMLSelectElement} Field */
/** @typedef {[name: string, label: string, any: string, words: Record<string, string> | null]} Filter */

/** @type {Filter[]} */
const MAIN = [
  ["flag", "Which", "all labels", FLAGS],
  ["choice", "Choice", "any", CHOICES],
  ["rater", "Rater", "anyone", null],
];
/** @type {Filter[]} */
const FURTHER = [
  ["source", "Source", "any", SOURCES],
  ["state", "State", "any", STATES],
  ["purpose", "Made as", "any", PURPOSES],
];
const DAY = 86_400;

export class Filters {
  /** @type {Map<string, Field>} */
  #fields = new Map();
  #changed;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} form
   * @param {() => void} changed */
  constructor(form, changed) {
    this.#changed = changed;
    const attributes = { id: "search", class: "field", type: "search", maxlength: MAX_SEARCH_CHARS, placeholder: "Search prompts, replies, comments", "aria-label": "Search prompts, replies and comments" };
    const search = this.#field("search", element("input", attributes));
    search.addEventListener("input", () => this.#soon());
    const main = element("div", { class: "fields" }, ...MAIN.map((each) => this.#choice(each)));
    const further = element("div", { class: "fields" }, ...FURTHER.map((each) => this.#choice(each)), ...this.#plain());
    const clear = element("button", { type: "button", class: "button small", id: "clear" }, "Clear all");
    clear.addEventListener("click", () => this.#clear());
    const more = element("details", {}, element("summary", {}, "More filters"), further, clear);
    form.append(search, main, more);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#tell();
    });
    this.#read();
    more.open = [...FURTHER.map(([name]) => name), "version", "since", "until"].some((name) => this.#fields.get(name)?.value);
  }

  isSet() {
    return [...this.#fields.values()].some((field) => field.value.trim() !== "");
  }

  /** The query string, "" if nothing is filtered. */
  query(further = {}) {
    const query = new URLSearchParams();
    for (const [name, field] of this.#fields) {
      const value = sentAs(name, field.value.trim());
      if (value !== "") query.set(name, value);
    }
    for (const [name, value] of Object.entries(further)) query.set(name, value);
    return query.size ? `?${query}` : "";
  }

  /** Show how many pairs each choice has, and which raters there are.
   *
   * @param {Record<string, { value: string, name?: string, pairs: number }[]>} facets */
  count(facets) {
    for (const [name, , any, words] of [...MAIN, ...FURTHER]) {
      const field = this.#fields.get(name);
      if (!field) continue;
      const chosen = field.dataset.wanted ?? field.value;
      delete field.dataset.wanted;
      const known = new Map(facets[name].map((each) => [each.value, each]));
      const values = words ? Object.keys(words).filter((value) => known.has(value) || value === chosen) : [...known.keys()];
      if (chosen && !values.includes(chosen)) values.push(chosen);
      const options = values.map((value) => optionOf(value, words?.[value] ?? known.get(value)?.name ?? value, known.get(value)?.pairs ?? 0));
      field.replaceChildren(element("option", { value: "" }, any), ...options);
      field.value = chosen;
    }
  }

  /** @param {Filter} filter */
  #choice([name, label, any]) {
    const select = this.#field(name, element("select", { id: `filter-${name}`, class: "field" }, element("option", { value: "" }, any)));
    select.addEventListener("change", () => this.#tell());
    return element("div", {}, element("label", { for: `filter-${name}` }, label), select);
  }

  #plain() {
    /** @type {(name: string, label: string, attributes: Record<string, string>) => HTMLElement} */
    const made = (name, label, attributes) => {
      const field = this.#field(name, element("input", { id: `filter-${name}`, class: "field", ...attributes }));
      field.addEventListener("input", () => this.#soon());
      return element("div", {}, element("label", { for: `filter-${name}` }, label), field);
    };
    return [
      made("version", "Version", { type: "number", min: "0", inputmode: "numeric" }),
      made("since", "Voted from", { type: "date" }),
      made("until", "to", { type: "date" }),
    ];
  }

  /**
   * @param {string} name
   * @param {Field} field */
  #field(name, field) {
    this.#fields.set(name, field);
    return field;
  }

  /** Take over what the address says. */
  #read() {
    for (const [name, value] of new URLSearchParams(location.search)) {
      const field = this.#fields.get(name);
      if (!field) continue;
      field.value = name === "since" || name === "until" ? dayOf(name, Number(value)) : value;
      if (field.tagName === "SELECT") {
        field.append(element("option", { value }, value));
        field.value = value;
      }
    }
  }

  #clear() {
    for (const field of this.#fields.values()) field.value = "";
    this.#tell();
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), PAUSE_MS);
  }

  #tell() {
    clearTimeout(this.#timer);
    this.#changed();
  }
}

/**
 * @param {string} value
 * @param {string} name
 * @param {number} pairs */
function optionOf(value, name, pairs) {
  const option = element("option", { value });
  setText(option, `${name} (${pairs.toLocaleString("en-GB")})`);
  return option;
}

/** Days are sent as seconds: from the start of the first one to the end of the last one.
 *
 * @param {string} name
 * @param {string} value */
function sentAs(name, value) {
  if (value === "" || (name !== "since" && name !== "until")) return value;
  const start = new Date(`${value}T00:00`).getTime() / 1000;
  return String(name === "since" ? start : start + DAY);
}

/**
 * @param {string} name
 * @param {number} seconds */
function dayOf(name, seconds) {
  const at = new Date((name === "since" ? seconds : seconds - DAY) * 1000);
  if (Number.isNaN(at.getTime())) return "";
  /** @type {(number: number) => string} */
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}
