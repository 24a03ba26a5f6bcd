// A share with its interval, drawn on a line from 0 to 100 % with a mark in the middle.

import { interval, percent } from "./numbers.js";

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 240;
const EDGE = 18; // room for half a number at either end
const LINE = 14;

/** `share`: { rate, low, high }. `middle`: what 50 % means, for those who do not see it. */
export function intervalBar(share, middle) {
  const label = `${percent(share.rate)}, 95 % interval ${interval(share)}; ${middle}`;
  const bar = svg("svg", { viewBox: `0 0 ${WIDTH} 38`, class: "interval", role: "img", "aria-label": label });
  bar.append(
    svg("line", { x1: x(0), x2: x(1), y1: LINE, y2: LINE, class: "axis" }),
    svg("line", { x1: x(0.5), x2: x(0.5), y1: 3, y2: 25, class: "middle" }),
    svg("line", { x1: x(share.low), x2: x(share.high), y1: LINE, y2: LINE, class: "range" }),
    ...[share.low, share.high].map((end) => svg("line", { x1: x(end), x2: x(end), y1: LINE - 5, y2: LINE + 5, class: "range end" })),
    svg("circle", { cx: x(share.rate), cy: LINE, r: 4.5, class: "rate" }),
    ...[0, 0.5, 1].map((at) => number(at)),
  );
  return bar;
}

function number(at) {
  const made = svg("text", { x: x(at), y: 36, "text-anchor": "middle" });
  made.textContent = percent(at);
  return made;
}

function x(share) {
  return EDGE + share * (WIDTH - 2 * EDGE);
}

function svg(tag, attributes) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
