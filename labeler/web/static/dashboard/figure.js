// @ts-check
// One figure with its interval: a name, a bar with a whisker, the number; or why there is none.

import { axis } from "../shared/axes.js";
import { element } from "../shared/dom.js";
import { interval, isNumber, percent } from "../shared/numbers.js";
import { svg } from "../shared/svg.js";

const WIDTH = 120;
// What the ends of the bar stand for.
const RANGES = { share: [0, 1], kappa: [-1, 1], points: [-1, 1], plain: [0, 1] };

/** A row of a definition list. `kind`: share, kappa or points (from -1 to 1), or plain. */
export function figureRow(name, figure, kind, note = "") {
  const value = element("dd", {});
  if (isNumber(figure.value)) value.append(bar(figure, kind), element("span", { class: "number" }, figure.text ?? figureText(figure, kind)));
  else value.append(element("span", { class: "soft" }, figure.why ? `unknown: ${figure.why}` : "unknown"));
  const about = note ? [element("span", { class: "soft small-text" }, note)] : [];
  return element("div", {}, element("dt", {}, name, ...about), value);
}

/** "61 % [52, 70]" or "0.42 [0.3, 0.5]", with how many it is of. */
export function figureText(figure, kind) {
  const has = isNumber(figure.low) && isNumber(figure.high);
  if (kind === "share") return `${percent(figure.value)}${has ? ` ${interval(figure)}` : ""}${countText(figure)}`;
  const range = has ? ` [${figure.low.toFixed(2)},\u00a0${figure.high.toFixed(2)}]` : "";
  return `${figure.value.toFixed(2)}${range}${countText(figure)}`;
}

function countText({ count }) {
  return isNumber(count) ? ` of ${count.toLocaleString("en-GB")}` : "";
}

function bar(figure, kind) {
  const [low, high] = RANGES[kind] ?? RANGES.plain;
  const place = axis([low, high], [2, WIDTH - 2]);
  const x = (value) => place(Math.max(low, Math.min(high, value)));
  const has = isNumber(figure.low) && isNumber(figure.high);
  return svg(
    "svg",
    { class: "whisker-bar", viewBox: `0 0 ${WIDTH} 14`, width: WIDTH, height: 14, "aria-hidden": "true" },
    svg("path", { class: "track", d: `M2,7H${WIDTH - 2}` }),
    ...(has ? [svg("path", { class: "range", d: `M${x(figure.low)},7H${Math.max(x(figure.high), x(figure.low) + 1)}` })] : []),
    svg("circle", { cx: x(figure.value), cy: 7, r: 4 }),
  );
}
