// @ts-check
// Plots in SVG: lines with bands, stacked bars, points with intervals; by mouse, touch and keyboard,
// with a table of the same numbers. Series differ by shape and dash or hatching, not by colour alone.
//
//   const plot = new Plot("Labels", "labels");   plot.node is the figure
//   plot.draw({ x: { names, ticks, title }, y: { title, text, low, high, whole },
//               series: [{ name, kind, values, low, high, hollow, notes }], mark, empty })
//
// There are two series at most. `kind` is "bars" (stacked), "line" or "points"; a value that is not
// known is null. `empty` says why there is nothing to see.

import { axis, frame, niceScale, spaced } from "./axes.js";
import { element, setText } from "./dom.js";
import { isNumber } from "./numbers.js";
import { lastLine, line, rangeAt, summary, table } from "./plot_words.js";
import { svg } from "./svg.js";

const HEIGHT = 190;
const EDGE = { top: 10, right: 10, bottom: 34, left: 58 };
const NAME_WIDTH = 64;
const DASHES = ["none", "7 4"];
/** @type {((x: number, y: number, r: number) => string)[]} */
const MARKS = [
  (x, y, r) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`,
  (x, y, r) => `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}Z`,
];

/** @typedef {import("./axes.js").Scale} Scale */

/** One series of a plot. A value that is not known is null.
 *
 * @typedef {object} Series
 * @property {string} name
 * @property {"bars" | "line" | "points"} kind
 * @property {(number | null)[]} values
 * @property {(number | null)[]} [low]
 * @property {(number | null)[]} [high]
 * @property {boolean[]} [hollow]
 * @property {(string | null)[]} [notes] */

/** What the y axis is: its title, how a value is written, and where it begins and ends.
 *
 * @typedef {object} Y
 * @property {string} title
 * @property {(value: number) => string} text
 * @property {(value: number) => string} [full]
 * @property {number} [low]
 * @property {number} [high]
 * @property {boolean} [whole] */

/** What a plot shows.
 *
 * @typedef {object} Spec
 * @property {{ names: string[], ticks?: string[], title: string }} x
 * @property {Y} y
 * @property {Series[]} series
 * @property {{ value: number, text: string }} [mark]
 * @property {string} [legendNote]
 * @property {string | null} [empty] */

export class Plot {
  #id;
  /** @type {Spec | null} */
  #spec = null;
  #drawn = "";
  /** @type {number | null} The place that is read out. */
  #at = null;
  #legend = element("ul", { class: "plot-legend" });
  #svg = svg("svg", { tabindex: "0", role: "img" });
  #empty = element("p", { class: "plot-empty" });
  #readout = element("p", { class: "plot-readout" });
  #table;
  #toggle = element("button", { type: "button", class: "button small", "aria-expanded": "false" }, "Table");
  #title;

  /**
   * @param {string} title
   * @param {string} id
   * @param {string} about */
  constructor(title, id, about = "") {
    this.#id = id;
    this.#title = title;
    const label = `${title}, as a table`;
    this.#table = element("div", { class: "plot-table", tabindex: "0", role: "region", "aria-label": label });
    this.#table.hidden = true;
    this.#toggle.setAttribute("aria-label", label);
    const head = element("div", { class: "plot-head" }, element("h3", { id: `${id}-title` }, title), this.#toggle);
    const lead = about ? [element("p", { class: "plot-about" }, about)] : [];
    const parts = [head, ...lead, this.#legend, this.#svg, this.#empty, this.#readout, this.#table];
    this.node = element("figure", { class: "plot", id, "aria-labelledby": `${id}-title` }, ...parts);
    this.#toggle.addEventListener("click", () => this.#toggleTable());
    this.#listen();
    new ResizeObserver(() => this.#redraw()).observe(this.node);
  }

  /** Show this, at once and without a flicker if it is what stands there already.
   *
   * @param {Spec} spec */
  draw(spec) {
    this.#spec = spec;
    this.#redraw();
  }

  #redraw() {
    const width = Math.floor(this.node.clientWidth) - 2;
    if (!this.#spec || width < 100) return;
    const drawn = JSON.stringify([width, this.#spec]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const { empty, series, x } = this.#spec;
    const tabular = !this.#table.hidden;
    this.#svg.toggleAttribute("hidden", Boolean(empty) || tabular);
    this.#empty.hidden = !empty;
    this.#legend.hidden = Boolean(empty) || tabular || !hasLegend(this.#spec);
    this.#toggle.hidden = Boolean(empty);
    this.#readout.hidden = Boolean(empty) || tabular;
    setText(this.#empty, empty ?? "");
    if (empty) return this.#table.replaceChildren();
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute("height", String(HEIGHT));
    this.#svg.setAttribute("aria-label", `${this.#title}: ${summary(this.#spec)}. Arrow keys read the values.`);
    this.#svg.replaceChildren(...picture(this.#spec, width, this.#id));
    this.#legend.replaceChildren(...legend(this.#spec, this.#id));
    if (tabular) this.#table.replaceChildren(table(this.#title, this.#spec));
    if (this.#at !== null) this.#read(Math.min(this.#at, x.names.length - 1));
    else setText(this.#readout, lastLine(x, series, this.#spec));
  }

  #toggleTable() {
    const shows = this.#table.hidden;
    this.#table.hidden = !shows;
    this.#toggle.setAttribute("aria-expanded", String(shows));
    setText(this.#toggle, shows ? "Plot" : "Table");
    this.#toggle.setAttribute("aria-label", shows ? `${this.#title}, as a plot` : `${this.#title}, as a table`);
    this.#drawn = "";
    this.#redraw();
  }

  #listen() {
    this.#svg.addEventListener("pointermove", (event) => this.#read(this.#placeOf(event)));
    this.#svg.addEventListener("pointerdown", (event) => this.#read(this.#placeOf(event)));
    this.#svg.addEventListener("pointerleave", () => this.#leave());
    // Read out only to those who read by keyboard: the numbers change by themselves too.
    this.#svg.addEventListener("focus", () => this.#readout.setAttribute("aria-live", "polite"));
    this.#svg.addEventListener("blur", () => {
      this.#readout.removeAttribute("aria-live");
      this.#leave();
    });
    this.#svg.addEventListener("keydown", (event) => {
      const count = this.#spec?.x.names.length ?? 0;
      const from = this.#at ?? count;
      const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: count - 1 }[event.key];
      if (to === undefined || !count) return;
      event.preventDefault();
      event.stopPropagation();
      this.#read(Math.max(0, Math.min(count - 1, to)));
    });
  }

  /** @param {PointerEvent} event */
  #placeOf(event) {
    const box = this.#svg.getBoundingClientRect();
    const count = this.#spec?.x.names.length ?? 0;
    const share = (event.clientX - box.left - EDGE.left) / (box.width - EDGE.left - EDGE.right);
    return Math.max(0, Math.min(count - 1, Math.floor(share * count)));
  }

  /** @param {number} index */
  #read(index) {
    if (!this.#spec || this.#spec.empty) return;
    this.#at = index;
    setText(this.#readout, line(index, this.#spec));
    const width = this.#svg.viewBox.baseVal.width;
    const guide = this.#svg.querySelector(".guide");
    const x = place(index, this.#spec.x.names.length, width);
    guide?.setAttribute("d", `M${x},${EDGE.top}V${HEIGHT - EDGE.bottom}`);
  }

  #leave() {
    if (this.#at === null || document.activeElement === this.#svg) return;
    this.#at = null;
    this.#svg.querySelector(".guide")?.setAttribute("d", "");
    if (this.#spec && !this.#spec.empty) setText(this.#readout, lastLine(this.#spec.x, this.#spec.series, this.#spec));
  }
}

/** @param {Spec} spec */
function hasLegend({ series, legendNote, mark }) {
  return series.length > 1 || Boolean(legendNote ?? mark);
}

/** The middle of a place on the x axis.
 *
 * @param {number} index
 * @param {number} count
 * @param {number} width */
function place(index, count, width) {
  return EDGE.left + ((index + 0.5) * (width - EDGE.left - EDGE.right)) / count;
}

/**
 * @param {Spec} spec
 * @param {number} width
 * @param {string} id */
function picture(spec, width, id) {
  const { x, y, series, mark } = spec;
  const count = x.names.length;
  const [low, high] = extent(spec);
  const scale = niceScale(low, high, 4, y.whole);
  const box = { left: EDGE.left, right: width - EDGE.right, top: EDGE.top, bottom: HEIGHT - EDGE.bottom };
  const top = axis([scale.low, scale.high], [box.bottom, box.top]);
  /** @type {Scale} */
  const at = (index) => place(index, count, width);
  /** @type {import("./axes.js").Axis["ticks"]} */
  const names = spaced(count, Math.floor((box.right - box.left) / NAME_WIDTH)).map((index) => {
    const anchor = at(index) > width - 24 ? "end" : "middle";
    return [Math.min(at(index), width - 4), x.ticks?.[index] ?? x.names[index], anchor];
  });
  /** @type {import("./axes.js").Axis["ticks"]} */
  const numbers = scale.ticks.map((tick) => [top(tick), y.text(tick)]);
  const axes = frame(box, { ticks: names, title: x.title }, { ticks: numbers, title: y.title, grid: true });
  const line = mark ? [svg("path", { class: "mark", d: `M${box.left},${top(mark.value)}H${box.right}` })] : [];
  const bars = stack(series.filter((each) => each.kind === "bars"), at, top, count, width, id);
  const others = series.flatMap((each, number) => {
    if (each.kind === "line") return lineOf(each, number, at, top);
    return each.kind === "points" ? pointsOf(each, number, at, top) : [];
  });
  return [hatching(id), ...axes, ...line, ...bars, ...others, svg("path", { class: "guide", d: "" })];
}

/** @param {Spec} spec */
function extent({ y, series, mark }) {
  const bars = series.filter((each) => each.kind === "bars");
  const sums = bars.length ? bars[0].values.map((_, index) => bars.reduce((sum, each) => sum + (each.values[index] ?? 0), 0)) : [];
  const others = series.filter((each) => each.kind !== "bars").flatMap((each) => [...each.values, ...(each.low ?? []), ...(each.high ?? [])]);
  const found = [...sums, ...others, ...(mark ? [mark.value] : [])].filter(isNumber);
  return [y.low ?? Math.min(...found), y.high ?? Math.max(...found)];
}

/**
 * @param {Series[]} series
 * @param {Scale} at
 * @param {Scale} top
 * @param {number} count
 * @param {number} width
 * @param {string} id */
function stack(series, at, top, count, width, id) {
  const step = (width - EDGE.left - EDGE.right) / count;
  const wide = Math.max(1, Math.min(26, step - Math.min(4, step * 0.25)));
  const below = new Array(count).fill(0);
  return series.flatMap((each, number) =>
    each.values.flatMap((value, index) => {
      if (!value) return [];
      const [from, to] = [below[index], below[index] + value];
      below[index] = to;
      const box = { x: at(index) - wide / 2, y: top(to), width: wide, height: Math.max(0.5, top(from) - top(to)) };
      const fill = number ? `url(#${id}-hatch)` : "currentColor";
      return [svg("rect", { class: `s${number}`, ...box, fill, stroke: number ? "currentColor" : "none" })];
    }),
  );
}

/**
 * @param {Series} each
 * @param {number} number
 * @param {Scale} at
 * @param {Scale} top */
function lineOf(each, number, at, top) {
  const lines = runs(each.values).map((run) => `M${run.map(({ index, value }) => `${at(index)},${top(value)}`).join("L")}`);
  const band = runs(each.low ?? []).map((run) => {
    const up = run.map(({ index, value }) => `${at(index)},${top(each.high?.[index] ?? value)}`);
    const down = run.map(({ index, value }) => `${at(index)},${top(value)}`).reverse();
    return svg("path", { class: `band s${number}`, d: `M${[...up, ...down].join("L")}Z` });
  });
  const r = each.values.length > 80 ? 1.6 : 3;
  const marks = each.values.flatMap((value, index) =>
    value === null ? [] : [svg("path", { class: `s${number}`, fill: "currentColor", d: MARKS[number](at(index), top(value), r) })],
  );
  return [...band, svg("path", { class: `line s${number}`, "stroke-dasharray": DASHES[number], d: lines.join("") }), ...marks];
}

/**
 * @param {Series} each
 * @param {number} number
 * @param {Scale} at
 * @param {Scale} top */
function pointsOf(each, number, at, top) {
  const r = each.values.length > 80 ? 2.2 : 4;
  return each.values.flatMap((value, index) => {
    if (value === null) return [];
    const x = at(index);
    const range = rangeAt(each, index);
    const whisker = range ? [svg("path", { class: `whisker s${number}`, d: `M${x},${top(range.low)}V${top(range.high)}` })] : [];
    const fill = each.hollow?.[index] ? "var(--paper)" : "currentColor";
    return [...whisker, svg("path", { class: `point s${number}`, fill, stroke: "currentColor", d: MARKS[number](x, top(value), r) })];
  });
}

/** Stretches of places where there is a value.
 *
 * @param {(number | null)[]} values */
function runs(values) {
  /** @type {{ index: number, value: number }[][]} */
  const found = [];
  for (const [index, value] of values.entries()) {
    if (value === null) continue;
    const run = index && values[index - 1] !== null ? found.at(-1) : undefined;
    if (run) run.push({ index, value });
    else found.push([{ index, value }]);
  }
  return found;
}

/** @param {string} id */
function hatching(id) {
  const lines = svg("path", { d: "M-1,1l2,-2M0,6l6,-6M5,7l2,-2", stroke: "currentColor", "stroke-width": "1.4" });
  const size = { id: `${id}-hatch`, class: "s1", width: 6, height: 6, patternUnits: "userSpaceOnUse" };
  return svg("defs", {}, svg("pattern", size, lines));
}

/**
 * @param {Spec} spec
 * @param {string} id */
function legend({ series, legendNote, mark }, id) {
  const keys = series.map((each, number) => {
    const key = svg("svg", { class: `key s${number}`, viewBox: "0 0 26 12", width: 26, height: 12, "aria-hidden": "true" });
    if (each.kind === "bars") key.append(svg("rect", { x: 4, y: 1, width: 18, height: 10, stroke: "currentColor", fill: number ? `url(#${id}-hatch)` : "currentColor" }));
    if (each.kind === "line") key.append(svg("path", { class: "line", d: "M0,6H26", "stroke-dasharray": DASHES[number] }));
    if (each.kind !== "bars") key.append(svg("path", { fill: "currentColor", d: MARKS[number](13, 6, 3.5) }));
    return element("li", {}, key, each.name);
  });
  const notes = [legendNote, mark?.text].filter((text) => text !== undefined).map((text) => element("li", { class: "soft" }, text));
  return [...keys, ...notes];
}
