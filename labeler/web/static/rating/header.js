// @ts-check
// What the rating page has in its header: what this is, which version is live, the last votes and help.

import { element, setText } from "../shared/dom.js";
import { fillHeader } from "../shared/header.js";

export class Header {
  #version = element("span", { class: "chip version" });
  #mini = element("span", { class: "chip mini" }); // on narrow windows, in place of the panel's bar

  /** @param {import("../shared/who.js").Me} me */
  constructor(me) {
    const brand = element("h1", { class: "brand" }, "livedpo");
    const slogan = element("span", { class: "slogan" }, "Your choices train the model that writes these replies.");
    const history = element("button", { type: "button", id: "open-history" }, "History");
    const help = element("button", { type: "button", id: "open-help" }, "?");
    fillHeader(me, brand, slogan, this.#mini, this.#version, history, help);
  }

  /** @param {import("./server.js").State} state */
  see(state) {
    const { done, wanted, text } = state.progress;
    setText(this.#version, state.live === null ? "no version yet" : `Version ${state.live}`);
    setText(this.#mini, `${done} / ${wanted}`);
    this.#mini.title = text;
  }

  /** Whether the live version is news.
   *
   * @param {boolean} isNews */
  showNews(isNews) {
    this.#version.classList.toggle("news", isNews);
  }
}
