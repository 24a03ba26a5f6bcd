// @ts-check
// The help dialog: the keys, and what happens with a vote.

import { Dialog, button } from "../shared/dialog.js";
import { element } from "../shared/dom.js";

/** @typedef {[caps: string[], meaning: string]} Key */

/** @type {Record<string, Key[]>} */
const KEYS = {
  Vote: [
    [["1"], "Reply 1 is better"],
    [["2"], "Reply 2 is better"],
    [["Shift", "1 or 2"], "It is much better (where digits need Shift, use the buttons)"],
    [["T"], "Tie"],
    [["B"], "Both bad"],
    [["S"], "Skip"],
  ],
  "After a vote": [
    [["U"], "Undo the last vote; press again for the one before"],
    [["R"], "Say why: reasons and a comment, if you like"],
    [["H"], "Your last votes; take any of them back"],
  ],
  "This pair": [
    [["E"], "Edit a reply into a better one, and choose it"],
    [["D"], "Mark the differences"],
    [["P"], "Plain text, exactly as written"],
    [["Y"], "Scroll both replies together"],
    [["↑", "↓"], "Scroll, when neither reply has the focus"],
  ],
  "The service": [
    [["G"], "How to choose"],
    [["O"], "Try your own prompt"],
    [["C"], "What the last updates changed"],
    [["?"], "This help"],
  ],
};

export class Help extends Dialog {
  /** `practise`: starts the practice pairs.
   *
   * @param {{ practise: () => void }} parts */
  constructor({ practise }) {
    super("help", "Keys");
    const start = button("Three practice pairs", () => {
      this.close();
      practise();
    });
    this.body.append(
      element("div", { class: "columns" }, ...Object.entries(KEYS).map(table)),
      element("p", {}, "Left and right are shuffled for every pair."),
      element("p", {}, "Your browser keeps each vote until the service has saved it. You don't need to wait."),
      element("p", { class: "buttons" }, start),
    );
    this.node.addEventListener("keydown", (event) => {
      if (event.key === "?") this.close();
    });
  }
}

/** @param {[string, Key[]]} section */
function table([title, keys]) {
  const list = element("dl");
  for (const [caps, meaning] of keys) {
    const shown = caps.map((key) => element("kbd", {}, key));
    list.append(element("div", {}, element("dt", {}, ...shown), element("dd", {}, meaning)));
  }
  return element("section", {}, element("h3", {}, title), list);
}
