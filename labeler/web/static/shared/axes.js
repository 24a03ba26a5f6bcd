// @ts-check
// The axes of a plot: where a value lies, round numbers for ticks, and the frame around it.

import { svg } from "./svg.js";

/** @typedef {{ left: number, right: number, top: number, bottom: number }} Box */
/** Ticks: where, what stands there, and how it is anchored. `grid`: with lines from its ticks.
 *
 * @typedef {{ ticks: [place: number, text: string, anchor?: string][], title: string, grid?: boolean }} Axis */
/** @typedef {(value: number) => number} Scale */

/** Where a value between `low` and `high` lies, from `start` to `end`.
 *
 * @param {[low: number, high: number]} values
 * @param {[start: number, end: number]} places
 * @returns {Scale} */
export function axis([low, high], [start, end]) {
  return (value) => start + ((value - low) / (high - low)) * (end - start);
}

/** Grid lines, ticks and titles. `box`: { left, right, top, bottom } of the plot itself.
 *
 * `x`, `y`: { ticks: [[place, text, anchor]], title, grid }, `grid` for lines from its ticks.
 *
 * @param {Box} box
 * @param {Axis} x
 * @param {Axis} y */
export function frame({ left, right, top, bottom }, x, y) {
  const [centre, middle] = [(left + right) / 2, (top + bottom) / 2];
  const grid = [
    ...(y.grid ? y.ticks.map(([at]) => ({ x1: left, x2: right, y1: at, y2: at })) : []),
    ...(x.grid ? x.ticks.map(([at]) => ({ x1: at, x2: at, y1: top, y2: bottom })) : []),
  ];
  return [
    ...grid.map((line) => svg("line", { class: "grid", ...line })),
    ...y.ticks.map(([at, text]) => svg("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, text)),
    ...x.ticks.map(([at, text, anchor = "middle"]) => svg("text", { x: at, y: bottom + 16, "text-anchor": anchor }, text)),
    svg("text", { x: centre, y: bottom + 31, "text-anchor": "middle" }, x.title),
    svg("text", { x: 11, y: middle, transform: `rotate(-90 11 ${middle})`, "text-anchor": "middle" }, y.title),
  ];
}

/** About `count` round numbers that span [low, high]: { low, high, ticks }.
 *
 * @param {number} low
 * @param {number} high
 * @param {number} count
 * @param {boolean} whole */
export function niceScale(low, high, count = 4, whole = false) {
  if (!(high > low)) [low, high] = [Math.min(low, 0), low > 0 ? low * 1.25 : low + 1];
  let step = niceStep((high - low) / count);
  if (whole) step = Math.max(1, Math.round(step));
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  const ticks = [];
  for (let number = first; number <= last; number += 1) ticks.push(Number((number * step).toPrecision(12)));
  return { low: ticks[0], high: ticks[ticks.length - 1], ticks };
}

/** 1, 2 or 5 times a power of ten, the first that is no less.
 *
 * @param {number} rough */
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5].find((each) => each * power >= rough - 1e-12) ?? 10;
  return factor * power;
}

/** Which of `count` places get a label if there is room for `most`: evenly spaced, the last one too.
 *
 * @param {number} count
 * @param {number} most */
export function spaced(count, most) {
  const step = Math.max(1, Math.ceil(count / Math.max(1, most)));
  const found = [];
  for (let index = count - 1; index >= 0; index -= step) found.unshift(index);
  return found;
}
