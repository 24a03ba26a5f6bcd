// @ts-check
// The calibration plot: how sure the judge was, across, against how often it was right, upwards.

import { axis, frame } from "./axes.js";
import { element } from "./dom.js";
import { svg } from "./svg.js";

const BOX = { left: 40, right: 244, top: 8, bottom: 136 };
const LARGEST = 9; // radius of the point with the most pairs
const SMALLEST = 3;
const SURE = [0.5, 0.75, 1];
const RIGHT = [0, 0.5, 1];
const x = axis([0.5, 1], [BOX.left, BOX.right]);
const y = axis([0, 1], [BOX.bottom, BOX.top]);

/** How often the judge was right where it was about this sure.
 *
 * @typedef {{ confidence: number, right: number, count: number }} Bin */

/** A figure with its caption. `text` says it in words.
 *
 * @param {Bin[]} bins  At least one.
 * @param {string} text */
export function calibrationPlot(bins, text) {
  const size = { viewBox: `0 0 ${BOX.right + 14} ${BOX.bottom + 38}`, role: "img" };
  /** @type {import("./axes.js").Axis} */
  const sure = { ticks: SURE.map((share) => [x(share), String(100 * share)]), title: "how sure, %", grid: true };
  /** @type {import("./axes.js").Axis} */
  const right = { ticks: RIGHT.map((share) => [y(share), String(100 * share)]), title: "right, %", grid: true };
  const plot = svg("svg", { ...size, "aria-label": text }, ...frame(BOX, sure, right), ideal(), ...points(bins));
  const caption = "On the dashed line it is right as often as it is sure. Larger points: more pairs.";
  return element("figure", { class: "calibration" }, plot, element("figcaption", {}, caption));
}

function ideal() {
  return svg("line", { class: "ideal", x1: x(0.5), y1: y(0.5), x2: x(1), y2: y(1) });
}

/** @param {Bin[]} bins */
function points(bins) {
  const most = Math.max(...bins.map((bin) => bin.count));
  return bins.map(({ confidence, right, count }) => {
    const r = Math.max(SMALLEST, LARGEST * Math.sqrt(count / most));
    return svg("circle", { cx: x(confidence), cy: y(right), r });
  });
}
