// @ts-check
// Can the votes be trusted? Figures with intervals, and the raters in a table that can be sorted.

import { byId, element } from "../shared/dom.js";
import { isNumber } from "../shared/numbers.js";
import { send } from "../shared/send.js";
import { figureRow, figureText } from "./figure.js";

/** @type {[key: string, name: string, kind: string | null][]} */
const COLUMNS = [
  ["name", "Name", null],
  ["votes", "Votes", null],
  ["votes_last_day", "Last day", null],
  ["median_seconds", "Median time", "seconds"],
  ["too_fast", "Too fast", null],
  ["left_share", "Chose left", "share"],
  ["gold", "Right on gold pairs", "share"],
  ["repeats", "Same answer again", "share"],
  ["reliability", "Reliability", "share"],
];

export class Trust {
  /** @type {[string, 1 | -1]} */
  #sorted = ["votes", -1];
  /** @type {any[]} */
  #raters = [];
  #drawn = "";

  async look() {
    let report;
    try {
      report = await send("/dashboard/trust");
    } catch {
      return; // not there, or no answer: what is shown stays
    }
    const drawn = JSON.stringify(report);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#raters = report.raters;
    this.#showFigures(report);
    this.#showRaters();
  }

  /** @param {any} report */
  #showFigures({ figures, weighing }) {
    byId("trust").hidden = false;
    const rows = figures.map((/** @type {any} */ figure) => figureRow(figure.name, figure, kindOf(figure), figure.note ?? ""));
    const weighs = weighing ? "Votes are weighted by how reliable their raters are." : "Every vote has the same weight (--weigh-raters weights them by reliability).";
    const body = byId("trust-body");
    body.replaceChildren(element("p", { class: "soft" }, weighs), element("dl", { class: "figures" }, ...rows));
  }

  #showRaters() {
    byId("raters").hidden = false;
    const body = byId("raters-body");
    if (!this.#raters.length) {
      body.replaceChildren(element("p", { class: "soft" }, "No one has voted yet."));
      return;
    }
    const [by, direction] = this.#sorted;
    const rows = [...this.#raters].sort((one, other) => direction * compare(numberOf(one[by]), numberOf(other[by])));
    const head = element("tr", {}, ...COLUMNS.map(([key, name]) => this.#heading(key, name)));
    const table = element(
      "table",
      { class: "raters" },
      element("caption", { class: "sr-only" }, "Raters; the buttons in the headings sort"),
      element("thead", {}, head),
      element("tbody", {}, ...rows.map(raterRow)),
    );
    body.replaceChildren(element("div", { class: "scroll", role: "region", "aria-label": "Raters", tabindex: "0" }, table));
  }

  /**
   * @param {string} key
   * @param {string} name */
  #heading(key, name) {
    const [by, direction] = this.#sorted;
    const mark = by === key ? (direction > 0 ? " ↑" : " ↓") : "";
    const button = element("button", { type: "button", class: "sort", "data-key": key }, name + mark);
    button.addEventListener("click", () => {
      const first = key === "name" ? 1 : -1;
      this.#sorted = [key, by === key ? (direction === 1 ? -1 : 1) : first];
      this.#showRaters();
      [...byId("raters").querySelectorAll("button")].find((each) => each.dataset.key === key)?.focus();
    });
    /** @type {Record<string, string>} */
    const sort = by === key ? { "aria-sort": direction > 0 ? "ascending" : "descending" } : {};
    return element("th", { scope: "col", ...sort }, button);
  }
}

/** @param {any} rater */
function raterRow(rater) {
  const cells = COLUMNS.map(([key, , kind], index) => {
    const content = index ? cellText(rater[key], kind) : element("bdi", {}, rater[key]);
    const cell = index ? element("td", {}, content) : element("th", { scope: "row" }, content);
    const why = rater[key]?.why;
    if (why) cell.append(element("span", { class: "sr-only" }, ` (${why})`));
    if (why) cell.title = why;
    return cell;
  });
  return element("tr", {}, ...cells);
}

/**
 * @param {any} value
 * @param {string | null} kind */
function cellText(value, kind) {
  if (value === null || value === undefined) return "–";
  if (kind === "seconds") return `${value.toFixed(1)} s`;
  if (typeof value === "object") return isNumber(value.value) ? figureText(value, kind ?? "plain") : "–";
  return value.toLocaleString("en-GB");
}

/** @param {any} cell */
function numberOf(cell) {
  return cell !== null && typeof cell === "object" ? cell.value : cell;
}

/** What is not known comes last, whichever way.
 *
 * @param {any} one
 * @param {any} other */
function compare(one, other) {
  if (typeof one === "string") return one.localeCompare(other);
  return (isNumber(one) ? one : -Infinity) - (isNumber(other) ? other : -Infinity);
}

/** @param {any} figure */
function kindOf({ unit }) {
  if (unit === "share" || unit === "%" || unit === "percent") return "share";
  return unit === "plain" ? "plain" : "kappa";
}
