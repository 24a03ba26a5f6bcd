// What a rater's votes changed: the last updates, with the verdict on each, and two prompts as they
// were answered before and after.

import { Dialog } from "../shared/dialog.js";
import { markDifferences } from "./differences.js";
import { counted, element, setText } from "../shared/dom.js";
import { intervalBar } from "../shared/interval.js";
import { interval, percent } from "../shared/numbers.js";
import { prose } from "./replies.js";
import { changeTitle, changeWords } from "./change_words.js";

export class Changes extends Dialog {
  #server;
  #lead = element("p", { class: "lead", role: "status" });
  #list = element("ol", { class: "updates" });

  constructor(server) {
    super("changes", "What your votes changed");
    this.#server = server;
    this.body.append(this.#lead, this.#list);
  }

  async look() {
    this.#list.replaceChildren();
    setText(this.#lead, "One moment…");
    this.open();
    try {
      const { changes } = await this.#server.changes();
      setText(this.#lead, summary(changes));
      this.#list.replaceChildren(...changes.map((change, place) => update(change, place === 0)));
    } catch {
      setText(this.#lead, "The updates could not be loaded; try again when the connection is back.");
    }
  }
}

function summary(changes) {
  if (!changes.length) return "There was no update yet. The first one follows when enough labels are there.";
  const mine = changes.reduce((sum, change) => sum + change.my_labels, 0);
  return `${counted(mine, "label")} of yours went into the last ${changes.length > 1 ? `${changes.length} updates` : "update"}.`;
}

function update(change, isOpen) {
  const at = new Date(1000 * change.ended_at);
  const time = element("time", { datetime: at.toISOString() }, at.toLocaleString());
  const lines = changeWords(change).map((line) => element("li", {}, line));
  const node = element(
    "li",
    { class: `update ${change.state}` },
    element("header", {}, element("h3", {}, changeTitle(change)), time),
    element("ul", { class: "figures" }, ...lines),
    ...winRate(change),
  );
  if (change.examples.length) node.append(examples(change, isOpen));
  return node;
}

function winRate({ win_rate: wins, why, state, parent }) {
  if (!wins) return state === "failed" ? [] : [element("p", { class: "why" }, `No win rate: ${why}.`)];
  const name = `Wins ${percent(wins.rate)} ${interval(wins)} of ${counted(wins.count, "pair")} against version ${parent}, says the judge.`;
  const bar = intervalBar(wins, "at 50 % it is neither better nor worse");
  return [element("figure", {}, bar, element("figcaption", {}, name))];
}

function examples({ examples: shown, parent, version_id: version, state }, isOpen) {
  const names = [`Before: version ${parent}`, state === "promoted" ? `After: version ${version}` : `Version ${version}, which was kept back`];
  const title = `${counted(shown.length, "prompt")}, answered before and after`;
  const node = element("details", {}, element("summary", {}, title), ...shown.map((one) => example(one, names)));
  node.open = isOpen;
  return node;
}

function example({ prompt_html, before_html, after_html }, names) {
  const [before, after] = [prose(before_html), prose(after_html)];
  const remark = before.textContent.trim() === after.textContent.trim() ? "Both answered the same." : markDifferences(before, after);
  // Long ones scroll, so they can be reached by keyboard.
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
