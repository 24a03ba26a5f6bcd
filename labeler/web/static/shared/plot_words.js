// @ts-check
// What a plot says in words: its table, the value at a place, and a summary.

import { element } from "./dom.js";
import { isNumber } from "./numbers.js";

/** @typedef {import("./plot.js").Series} Series */
/** @typedef {import("./plot.js").Spec} Spec */
/** @typedef {import("./plot.js").Y} Y */

/**
 * @param {string} title
 * @param {Spec} spec */
export function table(title, { x, series, y }) {
  const head = element("tr", {}, ...[x.title, ...series.map((each) => each.name)].map((name) => element("th", { scope: "col" }, name)));
  const rows = x.names.map((name, index) => {
    const cells = series.map((each) => element("td", {}, valueText(each, index, y)));
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
  });
  return element("table", {}, element("caption", { class: "sr-only" }, title), element("thead", {}, head), element("tbody", {}, ...rows.reverse()));
}

/**
 * @param {number} index
 * @param {Spec} spec */
export function line(index, { x, series, y }) {
  const said = series.map((each) => `${series.length > 1 ? `${each.name} ` : ""}${valueText(each, index, y)}`);
  return `${x.names[index]}: ${said.join(" · ")}`;
}

/** The newest place that has a value.
 *
 * @param {Spec["x"]} x
 * @param {Series[]} series
 * @param {Spec} spec */
export function lastLine(x, series, spec) {
  for (let index = x.names.length - 1; index >= 0; index -= 1) {
    if (series.some((each) => each.values[index] !== null && (each.kind !== "bars" || each.values[index]))) return line(index, spec);
  }
  return "";
}

/**
 * @param {Series} each
 * @param {number} index
 * @param {Y} y */
function valueText(each, index, y) {
  const value = each.values[index];
  if (value === null) return "–";
  const full = y.full ?? y.text;
  const known = rangeAt(each, index);
  const range = known ? ` [${full(known.low)}, ${full(known.high)}]` : "";
  const note = each.notes?.[index] ? `, ${each.notes[index]}` : "";
  return `${full(value)}${range}${note}`;
}

/** @param {Spec} spec */
export function summary(spec) {
  const names = spec.series.map((each) => each.name).join(", ");
  return `${names}; ${spec.x.names.length} places. ${lastLine(spec.x, spec.series, spec)}`;
}

/** The interval at a place, or null where there is none.
 *
 * @param {Series} series
 * @param {number} index */
export function rangeAt({ low, high }, index) {
  const [from, to] = [low?.[index], high?.[index]];
  return isNumber(from) && isNumber(to) ? { low: from, high: to } : null;
}
