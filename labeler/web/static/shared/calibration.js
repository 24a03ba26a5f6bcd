// The calibration plot: how sure the judge was, across, against how often it was right, upwards.

import { element } from "./dom.js";
import { calibrationText } from "./judge_words.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 40;
const TOP = 8;
const WIDTH = 204;
const HEIGHT = 128;
const LARGEST = 9; // radius of the point with the most pairs
const SMALLEST = 3;
const SURE = [0.5, 0.75, 1];
const RIGHT = [0, 0.5, 1];

/** A figure with its caption. `bins`: { confidence, right, count } each, at least one. */
export function calibrationPlot(bins) {
  const size = { viewBox: `0 0 ${LEFT + WIDTH + 14} ${TOP + HEIGHT + 38}`, role: "img" };
  const plot = svg("svg", { ...size, "aria-label": calibrationText(bins) }, ...grid(), ideal(), ...points(bins));
  const caption = "On the dashed line it is right as often as it is sure. Larger points: more pairs.";
  return element("figure", {}, plot, element("figcaption", {}, caption));
}

function grid() {
  const across = SURE.flatMap((sure) => [
    svg("line", { class: "grid", x1: x(sure), x2: x(sure), y1: y(0), y2: y(1) }),
    svg("text", { x: x(sure), y: y(0) + 15, "text-anchor": "middle" }, label(sure)),
  ]);
  const upwards = RIGHT.flatMap((right) => [
    svg("line", { class: "grid", x1: x(0.5), x2: x(1), y1: y(right), y2: y(right) }),
    svg("text", { x: x(0.5) - 6, y: y(right) + 4, "text-anchor": "end" }, label(right)),
  ]);
  const middle = TOP + HEIGHT / 2;
  const titles = [
    svg("text", { x: x(0.75), y: y(0) + 31, "text-anchor": "middle" }, "how sure, %"),
    svg("text", { x: 10, y: middle, transform: `rotate(-90 10 ${middle})`, "text-anchor": "middle" }, "right, %"),
  ];
  return [...across, ...upwards, ...titles];
}

function ideal() {
  return svg("line", { class: "ideal", x1: x(0.5), y1: y(0.5), x2: x(1), y2: y(1) });
}

function points(bins) {
  const most = Math.max(...bins.map((bin) => bin.count));
  return bins.map(({ confidence, right, count }) => {
    const r = Math.max(SMALLEST, LARGEST * Math.sqrt(count / most));
    return svg("circle", { cx: x(confidence), cy: y(right), r });
  });
}

function x(sure) {
  return LEFT + WIDTH * 2 * (sure - 0.5);
}

function y(right) {
  return TOP + HEIGHT * (1 - right);
}

function label(share) {
  return String(100 * share);
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
