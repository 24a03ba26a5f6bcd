// @ts-check
// How good the judge is, beside people: the figures of its report with their intervals.

import { byId, element } from "../shared/dom.js";
import { calibrationPlot } from "../shared/calibration.js";
import { figureRow } from "./figure.js";

let drawn = "";

/** @param {any} figures */
export function showJudge({ judge }) {
  const place = byId("judge");
  place.hidden = !judge;
  if (!judge || JSON.stringify(judge) === drawn) return;
  drawn = JSON.stringify(judge);
  const rows = judge.figures.map((/** @type {any} */ figure) => figureRow(figure.name, figure, figure.kind));
  const body = byId("judge-body");
  body.replaceChildren(...judge.lines.map((/** @type {string} */ text) => element("p", { class: "soft wrap" }, text)), element("dl", { class: "figures" }, ...rows));
  if (judge.bins.length) body.append(calibrationPlot(judge.bins, judge.calibration));
}
