// @ts-check
// How to choose: the guidelines beside the pair, and the same in a dialog for narrow windows.

import { Dialog, button } from "../shared/dialog.js";
import { byId, element } from "../shared/dom.js";

const FILL_MS = 20_000;

export class Guide extends Dialog {
  #server;
  #aside = element("div", { class: "text" });
  #inside = element("div", { class: "text" });
  /** @type {{ reasons: string[], skipReasons: string[] }} What raters can tick. */
  tags = { reasons: [], skipReasons: [] };

  /** @param {Pick<import("./server.js").Server, "guidelines">} server */
  constructor(server) {
    super("guide", "How to choose");
    this.#server = server;
    this.body.append(this.#inside);
    const summary = element("summary", {}, element("h2", {}, "How to choose"), element("kbd", { "aria-hidden": "true" }, "G"));
    byId("guidelines").append(element("details", { open: "" }, summary, this.#aside));
  }

  /** Ask for the guidelines until they are there; nothing waits for them. */
  async load() {
    try {
      const { html, reasons, skip_reasons: skipReasons } = await this.#server.guidelines();
      this.#aside.innerHTML = html; // made safe by the server
      this.#inside.innerHTML = html;
      this.tags = { reasons, skipReasons };
    } catch {
      this.#inside.replaceChildren("The guidelines could not be loaded. ", button("Try again", () => this.load()));
      setTimeout(() => this.tags.skipReasons.length || this.load(), FILL_MS);
    }
  }
}
