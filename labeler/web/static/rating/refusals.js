// @ts-check
// What the server would not save: how much of it, and why. It stays until it is dismissed.

import { button } from "../shared/dialog.js";
import { byId, counted, element, setText } from "../shared/dom.js";

/** @typedef {"vote" | "reason"} Kind */

export class Refusals {
  #place = byId("refusals");
  #text = element("p", { role: "alert" });
  /** @type {Map<Kind, string[]>} The sentence of each. */
  #refused = new Map();

  constructor() {
    this.#place.append(this.#text, button("Dismiss", () => this.#dismiss(), { id: "dismiss-refusals" }));
    this.#place.hidden = true;
  }

  /**
   * @param {Kind} kind
   * @param {string} sentence */
  add(kind, sentence) {
    this.#refused.set(kind, [...(this.#refused.get(kind) ?? []), sentence.replace(/\.$/, "")]);
    this.#place.hidden = false;
    setText(this.#text, [...this.#refused].map(told).join(" "));
  }

  #dismiss() {
    this.#refused.clear();
    this.#place.hidden = true;
    setText(this.#text, "");
  }
}

/** "A vote was not saved: …", "3 votes were not saved: …; …"
 *
 * @param {[Kind, string[]]} refused */
function told([kind, sentences]) {
  const { length: count } = sentences;
  const what = count === 1 ? `A ${kind} was` : `${counted(count, kind)} were`;
  return `${what} not saved: ${[...new Set(sentences)].join("; ")}.`;
}
