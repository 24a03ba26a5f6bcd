// @ts-check
// A share with its interval, drawn on a line from 0 to 100 % with a mark in the middle.

import { axis } from "./axes.js";
import { interval, percent } from "./numbers.js";
import { svg } from "./svg.js";

const WIDTH = 240;
const EDGE = 18; // room for half a number at either end
const LINE = 14;
const x = axis([0, 1], [EDGE, WIDTH - EDGE]);

/** `middle`: what 50 % means, for those who do not see it.
 *
 * @param {import("./numbers.js").Share} share
 * @param {string} middle */
export function intervalBar(share, middle) {
  const label = `${percent(share.value)}, 95 % interval ${interval(share)}; ${middle}`;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} 38`, class: "interval", role: "img", "aria-label": label },
    svg("line", { x1: x(0), x2: x(1), y1: LINE, y2: LINE, class: "axis" }),
    svg("line", { x1: x(0.5), x2: x(0.5), y1: 3, y2: 25, class: "middle" }),
    svg("line", { x1: x(share.low), x2: x(share.high), y1: LINE, y2: LINE, class: "range" }),
    ...[share.low, share.high].map((end) => svg("line", { x1: x(end), x2: x(end), y1: LINE - 5, y2: LINE + 5, class: "range end" })),
    svg("circle", { cx: x(share.value), cy: LINE, r: 4.5, class: "rate" }),
    ...[0, 0.5, 1].map((at) => svg("text", { x: x(at), y: 36, "text-anchor": "middle" }, percent(at))),
  );
}
