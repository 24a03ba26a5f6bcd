// @ts-check
// The section on the judge, where there is one: what it is, how good it is, and its figures folded.

import { calibrationPlot } from "../shared/calibration.js";
import { element, row, setText } from "../shared/dom.js";

export class JudgeSection {
  #name = element("p", { class: "lead" });
  #lines = element("ul", { class: "figures" });
  #figures = element("dl");
  #plot = element("div");
  #more = element("details", {}, element("summary", {}, "Figures"), this.#figures, this.#plot);
  #shown = "";
  section = element("section", { class: "judge" }, element("h2", {}, "Judge"), this.#name, this.#lines, this.#more);

  constructor() {
    this.section.hidden = true;
  }

  /** @param {import("./server.js").State} state */
  see(state) {
    const told = state.judge;
    if (told === undefined) return; // only some answers tell
    const texts = JSON.stringify(told);
    if (texts === this.#shown) return;
    this.#shown = texts;
    this.section.hidden = !told;
    if (!told) return;
    setText(this.#name, told.name);
    this.#lines.replaceChildren(...told.lines.map((line) => element("li", {}, line)));
    this.#figures.replaceChildren(...told.figures.map(row));
    this.#plot.replaceChildren(...(told.bins.length ? [calibrationPlot(told.bins, told.calibration)] : []));
    this.#more.hidden = told.figures.length === 0;
  }
}
