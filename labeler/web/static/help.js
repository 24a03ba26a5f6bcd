// The help dialog: the keys, and what happens with a vote.

import { element } from "./dom.js";

const KEYS = [
  [["1"], "Reply 1 is better"],
  [["2"], "Reply 2 is better"],
  [["Shift", "1"], "Reply 1 is much better"],
  [["Shift", "2"], "Reply 2 is much better"],
  [["T"], "Tie"],
  [["B"], "Both bad"],
  [["S"], "Skip"],
  [["U"], "Undo the last vote; again for the one before"],
  [["?"], "This help"],
];

export class Help {
  #dialog = element("dialog", { id: "help", "aria-labelledby": "help-title" });

  constructor() {
    const close = element("button", { type: "button", class: "close", "aria-label": "Close" }, "Close");
    close.addEventListener("click", () => this.#dialog.close());
    this.#dialog.append(
      element("h2", { id: "help-title" }, "Keys"),
      table(),
      element("p", {}, "Which reply stands where is drawn by lot for every pair."),
      element("p", {}, "A vote is kept in this browser until the service has saved it. You need not wait."),
      close,
    );
    // A click beside the dialog closes it.
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    document.querySelector(".gradio-container").append(this.#dialog);
  }

  get isOpen() {
    return this.#dialog.open;
  }

  open() {
    this.#dialog.showModal();
  }

  close() {
    this.#dialog.close();
  }
}

function table() {
  const list = element("dl");
  for (const [keys, meaning] of KEYS) {
    const caps = keys.map((key) => element("kbd", {}, key));
    list.append(element("div", {}, element("dt", {}, ...caps), element("dd", {}, meaning)));
  }
  return list;
}
