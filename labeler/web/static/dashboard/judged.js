// How good the judge is, beside people: the figures of its report with their intervals.

import { element } from "../shared/dom.js";
import { calibrationPlot } from "../shared/calibration.js";
import { isNumber } from "../shared/numbers.js";
import { figureRow } from "./figure.js";

const FIGURES = [
  ["agreement", "Agrees with people (both decided)", "share"],
  ["agreement_with_ties", "Agrees with people (with ties)", "share"],
  ["kappa", "Cohen's kappa", "kappa"],
  ["brier", "Brier score (0.25: says nothing)", "plain"],
  ["calibration_error", "Calibration error", "share"],
  ["longer_judge", "Judge prefers the longer response", "share"],
  ["longer_people", "People prefer the longer response", "share"],
  ["abstain_share", "Abstains", "share"],
  ["consistent", "Same answer in both orders", "share"],
];
let drawn = "";

export function showJudge({ judge }) {
  const place = document.getElementById("judge");
  place.hidden = !judge;
  if (!judge || JSON.stringify(judge) === drawn) return;
  drawn = JSON.stringify(judge);
  const told = new Set();
  const rows = FIGURES.filter(([key]) => judge[key]).flatMap(([key, name, kind]) => {
    const figure = judge[key];
    if (!isNumber(figure.value) && told.has(figure.why)) return [];
    told.add(figure.why);
    return [figureRow(name, figure, kind)];
  });
  const lead = [`${judge.judge}: ${judge.verdicts} verdicts, ${judge.labels} of them labels.`];
  if (judge.paused) lead.push(judge.paused);
  const body = document.getElementById("judge-body");
  body.replaceChildren(...lead.map((text) => element("p", { class: "soft wrap" }, text)), element("dl", { class: "figures" }, ...rows));
  if (judge.bins?.length) body.append(calibrationPlot(judge.bins));
}
