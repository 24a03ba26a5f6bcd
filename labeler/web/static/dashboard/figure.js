// @ts-check
// One figure with its interval: a name, a bar with a whisker, the number; or why there is none.

import { axis } from "../shared/axes.js";
import { element } from "../shared/dom.js";
import { interval, isNumber, percent } from "../shared/numbers.js";
import { svg } from "../shared/svg.js";

/** A figure with its interval, or why there is none.
 *
 * @typedef {{ value: number | null, low?: number | null, high?: number | null, count?: number | null, text?: string, why?: string }} Figure */

const WIDTH = 120;
/** @type {Record<string, [number, number]>} What the ends of the bar stand for. */
const RANGES = { share: [0, 1], kappa: [-1, 1], points: [-1, 1], plain: [0, 1] };

/** A row of a definition list. `kind`: share, kappa or points (from -1 to 1), or plain.
 *
 * @param {string} name
 * @param {Figure} figure
 * @param {string} kind
 * @param {string} note */
export function figureRow(name, figure, kind, note = "") {
  const shown = element("dd", {});
  const { value, why } = figure;
  if (isNumber(value)) shown.append(bar({ ...figure, value }, kind), element("span", { class: "number" }, figure.text ?? figureText({ ...figure, value }, kind)));
  else shown.append(element("span", { class: "soft" }, why ? `unknown: ${why}` : "unknown"));
  const about = note ? [element("span", { class: "soft small-text" }, note)] : [];
  return element("div", {}, element("dt", {}, name, ...about), shown);
}

/** "61 % [52, 70]" or "0.42 [0.3, 0.5]", with how many it is of.
 *
 * @param {Figure & { value: number }} figure
 * @param {string} kind */
export function figureText(figure, kind) {
  const range = rangeOf(figure);
  if (kind === "share") return `${percent(figure.value)}${range ? ` ${interval(range)}` : ""}${countText(figure)}`;
  const text = range ? ` [${range.low.toFixed(2)},\u00a0${range.high.toFixed(2)}]` : "";
  return `${figure.value.toFixed(2)}${text}${countText(figure)}`;
}

/** The interval, or null where there is none.
 *
 * @param {Figure} figure */
function rangeOf({ low, high }) {
  return isNumber(low) && isNumber(high) ? { low, high } : null;
}

/** @param {Figure} figure */
function countText({ count }) {
  return isNumber(count) ? ` of ${count.toLocaleString("en-GB")}` : "";
}

/**
 * @param {Figure & { value: number }} figure
 * @param {string} kind */
function bar(figure, kind) {
  const [low, high] = RANGES[kind] ?? RANGES.plain;
  const place = axis([low, high], [2, WIDTH - 2]);
  /** @type {(value: number) => number} */
  const x = (value) => place(Math.max(low, Math.min(high, value)));
  const range = rangeOf(figure);
  return svg(
    "svg",
    { class: "whisker-bar", viewBox: `0 0 ${WIDTH} 14`, width: WIDTH, height: 14, "aria-hidden": "true" },
    svg("path", { class: "track", d: `M2,7H${WIDTH - 2}` }),
    ...(range ? [svg("path", { class: "range", d: `M${x(range.low)},7H${Math.max(x(range.high), x(range.low) + 1)}` })] : []),
    svg("circle", { cx: x(figure.value), cy: 7, r: 4 }),
  );
}
