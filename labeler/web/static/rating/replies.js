// @ts-check
// The two replies on screen: rendered or plain, with their differences marked, scrolled together.

import { element, setText } from "../shared/dom.js";
import { keep, kept } from "../shared/kept.js";
import { markDifferences } from "./differences.js";
import { ScrollSync } from "./scroll_sync.js";

const KEPT = "livedpo.view";
/** @type {[Mode, string, string, string][]} Name, text, key, title. */
const TOGGLES = [
  ["differences", "Differences", "D", "Mark the words that only one reply has"],
  ["plain", "Plain text", "P", "Show the replies exactly as written"],
  ["together", "Scroll together", "Y", "Scroll both replies together"],
];

/** @typedef {"plain" | "differences" | "together"} Mode */
/** @typedef {import("./server.js").LeasedPair} LeasedPair */
/** @typedef {{ left: HTMLElement, right: HTMLElement }} Built */

/** The replies of a pair, and their nodes as the toggles of that time wanted them.
 *
 * @typedef {object} Prepared
 * @property {LeasedPair} source
 * @property {{ left: string, right: string }} texts
 * @property {Built} built
 * @property {string} remark
 * @property {string} modes */

export class Replies {
  #left;
  #right;
  #scrollSync;
  /** @type {Record<string, HTMLButtonElement>} */
  #buttons = {};
  #note = element("span", { class: "remark", role: "status" });
  #modes = { plain: false, differences: false, together: false, ...kept(KEPT, {}) };
  /** @type {Prepared | null} */
  #pair = null;

  /** `left`, `right`: where the replies go. `place`: the element before which the toggles go.
   *
   * @param {HTMLElement} left
   * @param {HTMLElement} right
   * @param {HTMLElement} place */
  constructor(left, right, place) {
    this.#left = left;
    this.#right = right;
    this.#scrollSync = new ScrollSync(left, right);
    const bar = element("div", { id: "toggles", role: "group", "aria-label": "How the replies are shown" }, this.#note);
    for (const [name, text, key, title] of TOGGLES) {
      const button = element("button", { type: "button", id: `toggle-${name}`, title, "aria-keyshortcuts": key }, text);
      button.append(element("kbd", { "aria-hidden": "true" }, key));
      button.addEventListener("click", () => this.toggle(name));
      this.#buttons[name] = button;
      bar.append(button);
    }
    place.before(bar);
    this.#apply();
  }

  /** What is needed to show a pair at once.
   *
   * @param {LeasedPair} pair
   * @returns {Prepared} */
  prepare(pair) {
    const texts = { left: pair.left_text, right: pair.right_text };
    return { source: pair, texts, ...this.#built(pair) };
  }

  /** @param {Prepared} prepared */
  show(prepared) {
    this.#pair = prepared;
    this.#scrollSync.reset();
    this.#fill();
  }

  /** @param {Mode} name */
  toggle(name) {
    this.#modes = { ...this.#modes, [name]: !this.#modes[name] };
    keep(KEPT, this.#modes);
    this.#apply();
    this.#fill();
  }

  #apply() {
    for (const [name] of TOGGLES) {
      this.#buttons[name].setAttribute("aria-pressed", String(this.#modes[name]));
    }
    this.#scrollSync.isOn = this.#modes.together;
  }

  #fill() {
    if (!this.#pair) return;
    if (this.#pair.modes !== this.#wanted) Object.assign(this.#pair, this.#built(this.#pair.source));
    const { built, remark } = this.#pair;
    this.#left.replaceChildren(built.left);
    this.#right.replaceChildren(built.right);
    setText(this.#note, remark);
  }

  /** What the nodes of a pair depend on. */
  get #wanted() {
    return `${this.#modes.plain} ${this.#modes.differences}`;
  }

  /** The nodes of a pair as the toggles want them. Thoughts come back once the replies alone are
   *  compared.
   *
   * @param {LeasedPair} source */
  #built(source) {
    const left = this.#reply(source.left_html, source.left_text);
    const right = this.#reply(source.right_html, source.right_text);
    const remark = this.#modes.differences ? markDifferences(left.node, right.node) : "";
    finish(left, source.left_unfinished);
    finish(right, source.right_unfinished);
    return { built: { left: left.node, right: right.node }, remark, modes: this.#wanted };
  }

  /**
   * @param {string} html
   * @param {string} text */
  #reply(html, text) {
    const made = prose(html);
    const thought = made.querySelector("details.thought");
    thought?.remove();
    return { node: this.#modes.plain ? plain(text) : made, thought };
  }
}

/**
 * @param {{ node: HTMLElement, thought: Element | null }} reply
 * @param {boolean} isUnfinished */
function finish({ node, thought }, isUnfinished) {
  if (thought) node.prepend(thought);
  if (isUnfinished) node.append(element("p", { class: "cut" }, "Cut at the length limit"));
}

/** HTML that the server has made safe.
 *
 * @param {string} html */
export function prose(html) {
  const made = element("div", { class: "text" });
  made.innerHTML = html;
  return made;
}

/** @param {string} text */
function plain(text) {
  return element("div", { class: "text" }, element("pre", { class: "plain", dir: "auto" }, text));
}
