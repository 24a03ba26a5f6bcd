// What the page says of the judge: sentences and figures from its report.

import { counted } from "./dom.js";
import { hundredths, interval, isNumber, percent } from "./numbers.js";
import { stripped } from "../rating/words.js";

const LEARNED = "learned";
const CAUSES = {
  timeout: "no answer in time",
  unreachable: "not reached",
  rate_limited: "asked too often",
  server_error: "error of the server",
  refused: "refused",
  bad_answer: "answer not readable",
  unclear: "answer not clear",
  inconsistent: "orders disagree",
  not_finite: "score is no number",
  too_long: "too long to read",
  error: "error",
  unsure: "not sure enough",
  untrained: "not trained yet",
  budget: "budget spent",
};

/** All that the section says: { name, lines, figures, bins }; null where there is no judge. */
export function judge(state) {
  const { judge_set: set, judge: spoke } = state;
  if (!set && !spoke) return null;
  const report = !set || spoke?.judge === set.spec ? spoke : null; // else it is of an earlier judge
  const spec = set?.spec ?? report.judge;
  return {
    name: name(spec),
    lines: [
      ...(spec === LEARNED ? learned(report ? report.says : state.roles.judge) : []),
      rule(set, report),
      ...(report ? [given(report), agreement(report.agreement)] : ["It has not said anything yet."]),
    ],
    figures: report ? figures(report) : [],
    bins: report?.bins ?? [],
  };
}

/** Points of the calibration plot in words, or null if there are none. */
export function calibrationText(bins) {
  if (!bins.length) return null;
  const points = bins.map((bin) => `${percent(bin.confidence)} sure, ${percent(bin.right)} right (${counted(bin.count, "pair")})`);
  return `How sure the judge was, and how often it was right: ${points.join("; ")}.`;
}

function name(spec) {
  const [kind, rest] = split(spec, ":");
  if (kind === LEARNED) return "Learned from your votes";
  if (kind === "api") return `api: ${rest.replace(/@https?:.*$/, "")}`;
  if (kind === "py") return `The function ${rest}`;
  return `The reward model ${kind === "rm" ? lastPart(rest) : spec}`;
}

/** How well it has learned, as a sentence; others say nothing of themselves. */
function learned(says) {
  const text = stripped(says);
  return text ? [`${text[0].toUpperCase()}${text.slice(1)}.`] : [];
}

/** When it labels. */
function rule(set, report) {
  if (!set) return "The service runs without it now.";
  if (set.after_seconds === null) return "It labels nothing; it compares each new version with the live one.";
  if (report?.paused) return "It labels nothing for now.";
  if (set.after_seconds === 0) return "It labels every pair that nobody holds.";
  return `It labels what nobody took for ${waitText(set.after_seconds)}.`;
}

function waitText(seconds) {
  if (seconds < 120) return counted(round(seconds), "second");
  if (seconds < 7200) return counted(round(seconds / 60), "minute");
  return counted(round(seconds / 3600), "hour");
}

function given({ labels }) {
  return labels ? `It gave ${counted(labels, "label")}.` : "It has given no label yet.";
}

function agreement(figure) {
  if (!isNumber(figure.value)) return `Whether it agrees with people is not known: ${figure.why}.`;
  return `Agrees with people on ${percent(figure.value)} ${interval(figure)} of ${counted(figure.count, "pair")} that both decided.`;
}

/** [name, value] each; what is not known says why, once. */
function figures(report) {
  const told = new Set([report.agreement.why]);
  const beside = (name, figure, shown) => {
    if (isNumber(figure.value)) return [[name, shown(figure)]];
    if (told.has(figure.why)) return [];
    told.add(figure.why);
    return [[name, `not known: ${figure.why}`]];
  };
  return [
    ...beside("Agreement, ties counted", report.agreement_with_ties, share),
    ...beside("Cohen's kappa", report.kappa, plain),
    ...beside("Brier score", report.brier, plain),
    ...beside("Calibration error", report.calibration_error, plain),
    ...beside("Prefers the longer reply in", report.longer_judge, share),
    ...beside("People do in", report.longer_people, share),
    ...beside("Difference, points", report.longer_difference, points),
    ...(report.consistent ? [["Says the same in both orders", share(report.consistent)]] : []),
    ["Gave no verdict", abstained(report)],
    ...causes(report.abstained),
    ...(report.requests ? [["Requests", report.requests.toLocaleString("en")]] : []),
    ...(report.tokens ? [["Tokens", report.tokens.toLocaleString("en")]] : []),
  ];
}

function abstained({ abstain_share: figure, verdicts }) {
  return figure.value ? share(figure) : `never, of ${counted(verdicts, "pair")}`;
}

function causes(abstained) {
  const most = Object.entries(abstained).sort(([, one], [, other]) => other - one);
  return most.map(([cause, count]) => [`\u2013 ${CAUSES[cause] ?? cause}`, String(count)]);
}

function share(figure) {
  return `${percent(figure.value)} ${interval(figure)} of ${figure.count}`;
}

function plain(figure) {
  return `${twoDigits(figure.value)} [${twoDigits(figure.low)}, ${twoDigits(figure.high)}]`;
}

function points({ value, low, high }) {
  return `${signed(hundredths(value))} [${signed(hundredths(low))}, ${signed(hundredths(high))}]`;
}

function twoDigits(value) {
  return minus(value.toFixed(2).replace(/^-(0\.00)$/, "$1"));
}

function signed(value) {
  return value > 0 ? `+${value}` : minus(String(value));
}

function minus(text) {
  return text.replace("-", "\u2212");
}

function round(value) {
  return Math.round(10 * value) / 10;
}

function lastPart(path) {
  return path.replace(/\/+$/, "").split("/").at(-1);
}

function split(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
