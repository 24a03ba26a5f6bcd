// @ts-check
// A pair in the list.

import { element } from "../shared/dom.js";
import { timeElement } from "../shared/times.js";
import { choiceText, PURPOSES } from "./words.js";

const MAX_VOTES = 4;

/** @param {any} pair */
export function lineNode(pair) {
  const votes = pair.votes.slice(-MAX_VOTES).map(voteNode);
  const marks = [
    ...(pair.is_aside ? [mark("set aside", "bad")] : []),
    ...(pair.too_fast ? [mark("fast", "warn")] : []),
    ...(pair.commented ? [mark("comment", "")] : []),
    ...(pair.purpose === "loop" ? [] : [mark(PURPOSES[pair.purpose], "accent")]),
    ...(pair.state === "ready" || pair.state === "expired" ? [mark(pair.state === "ready" ? "waiting" : "expired", "")] : []),
  ];
  const head = element("span", { class: "head" }, element("b", {}, `#${pair.id}`), ` version ${pair.version} · `, timeElement(pair.at));
  const link = element(
    "a",
    { class: "line", href: `#pair=${pair.id}` },
    head,
    element("span", { class: "snippet", dir: "auto" }, pair.text),
    element("span", { class: "votes" }, ...votes, ...marks),
  );
  return element("li", {}, link);
}

/** @param {any} vote */
function voteNode(vote) {
  const who = element("bdi", {}, vote.source === "judge" ? "judge" : vote.rater);
  const said = element(vote.undone ? "del" : "b", {}, choiceText(vote));
  return element("span", { class: "vote" }, who, ": ", said);
}

/**
 * @param {string} text
 * @param {string} kind */
function mark(text, kind) {
  return element("span", { class: `chip ${kind}` }, text);
}
