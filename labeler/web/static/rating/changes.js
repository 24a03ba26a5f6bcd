// @ts-check
// What a rater's votes changed: a prompt of theirs, before and after; and the last updates, with the
// verdict on each, and two prompts with the answers from before and after.

import { Dialog } from "../shared/dialog.js";
import { markDifferences } from "./differences.js";
import { counted, element, setText } from "../shared/dom.js";
import { texts } from "./follow_up.js";
import { intervalBar } from "../shared/interval.js";
import { prose } from "./replies.js";

/** A prompt with its answers, as HTML that the server has made safe.
 *
 * @typedef {{ prompt_html: string, before_html: string, after_html: string }} Example */

/** What an update changed.
 *
 * @typedef {object} Change
 * @property {string} state
 * @property {string} title
 * @property {number} ended_at
 * @property {[line: string, at: number | null][]} lines
 * @property {import("../shared/numbers.js").Share | null} win_rate
 * @property {string} compared
 * @property {Example[]} examples
 * @property {[string, string]} names  Of the versions before and after. */

export class Changes extends Dialog {
  #server;
  #lead = element("p", { class: "lead", role: "status" });
  #own = element("section", { class: "own" });
  #list = element("ol", { class: "updates" });

  /** @param {Pick<import("./server.js").Server, "changes" | "followUp" | "sawFollowUp">} server */
  constructor(server) {
    super("changes", "What your votes changed");
    this.#server = server;
    this.body.append(this.#lead, this.#own, this.#list);
  }

  async look() {
    this.#list.replaceChildren();
    this.#own.replaceChildren();
    setText(this.#lead, "One moment…");
    this.open();
    try {
      const [{ summary, changes }, { follow_up: own }] = await Promise.all([this.#server.changes(), this.#server.followUp()]);
      setText(this.#lead, summary);
      if (own) this.#showOwn(own);
      this.#list.replaceChildren(...changes.map((change, place) => update(change, place === 0)));
    } catch {
      setText(this.#lead, "The updates could not be loaded. Try again when the connection is back.");
    }
  }

  /** @param {import("./follow_up.js").Shown} own */
  #showOwn(own) {
    const text = element("p", {}, own.text);
    this.#own.append(element("h3", {}, own.title), text, element("div", { class: "texts" }, ...texts(own)));
    this.#server.sawFollowUp(own.version).catch(() => {}); // then it stays beside the pair
  }
}

/**
 * @param {Change} change
 * @param {boolean} isOpen */
function update(change, isOpen) {
  const at = new Date(1000 * change.ended_at);
  const time = element("time", { datetime: at.toISOString() }, localTime(change.ended_at));
  const lines = change.lines.map(([line, at]) => element("li", {}, at === null ? line : `${line} ${localTime(at)}.`));
  const node = element(
    "li",
    { class: `update ${change.state}` },
    element("header", {}, element("h3", {}, change.title), time),
    element("ul", { class: "figures" }, ...lines),
    ...winRate(change),
  );
  if (change.examples.length) node.append(examples(change, isOpen));
  return node;
}

/** @param {Change} change */
function winRate({ win_rate: wins, compared }) {
  if (!wins) return compared ? [element("p", { class: "why" }, compared)] : [];
  const bar = intervalBar(wins, "at 50 % it is neither better nor worse");
  return [element("figure", {}, bar, element("figcaption", {}, compared))];
}

/**
 * @param {Change} change
 * @param {boolean} isOpen */
function examples({ examples: shown, names }, isOpen) {
  const title = `${counted(shown.length, "prompt")}, with answers from before and after`;
  const node = element("details", {}, element("summary", {}, title), ...shown.map((one) => example(one, names)));
  node.open = isOpen;
  return node;
}

/** @param {number} seconds */
function localTime(seconds) {
  return new Date(1000 * seconds).toLocaleString();
}

/**
 * @param {Example} example
 * @param {[string, string]} names */
function example({ prompt_html, before_html, after_html }, names) {
  const [before, after] = [prose(before_html), prose(after_html)];
  const remark = before.textContent.trim() === after.textContent.trim() ? "Both answers are the same." : markDifferences(before, after);
  // Long ones scroll, so they can be reached by keyboard.
  /** @type {(kind: string, name: string, text: HTMLElement) => HTMLElement} */
  const part = (kind, name, text) =>
    element("section", { class: kind, tabindex: "0", "aria-label": name }, element("h4", {}, name), text);
  return element(
    "div",
    { class: "example" },
    part("asked", "Prompt", prose(prompt_html)),
    element("div", { class: "sides" }, part("side", names[0], before), part("side", names[1], after)),
    ...(remark ? [element("p", { class: "why" }, remark)] : []),
  );
}
