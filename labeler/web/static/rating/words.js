// What the page says: sentences from the state of the loop.

import { whoseLabels } from "./change_words.js";
import { counted } from "../shared/dom.js";
import { interval, isNumber, percent } from "../shared/numbers.js";

const RUNNING = new Set(["open", "claimed", "training", "gating"]);

export function choiceText(choice, strength) {
  const name = { left: "Reply 1", right: "Reply 2", tie: "tie", both_bad: "both bad", skip: "skip" };
  return name[choice] + (strength === 2 ? ", much better" : "");
}

/** What the service is doing now. */
export function activity(state) {
  if (isRunning(state)) return updateActivity(state.update);
  if (state.live === null) return "The model is loading";
  return stripped(state.roles.worker) || "Waiting for the worker";
}

/** Title and explanation for a page that has no pair to show. */
export function waiting(state, lost) {
  if (lost) {
    return ["Connection lost", "This page reconnects by itself. Your votes are kept until then."];
  }
  if (!state) return ["One moment", "Asking for the first pair."];
  if (state.live === null) {
    const says = stripped(state.roles.worker);
    return ["The model is loading", says && !/loading/i.test(says) ? `${says}.` : "The first pair follows right after."];
  }
  if (isRunning(state)) {
    const whose = state.judge?.labels ? "new" : "your";
    return [`Training on ${whose} labels`, `${updateActivity(state.update)}. The next pairs come soon.`];
  }
  return ["Sampling the next pairs", "They appear here by themselves."];
}

/** Progress to the next update: [done, wanted, sentence]. */
export function progress(state) {
  const wanted = state.labels_per_update;
  const done = Math.min(state.fresh, wanted);
  return [done, wanted, `${done} of ${wanted} labels to the next update`];
}

/** What the last update did: { title, lines, details, good } or null. */
export function result(update, live) {
  if (!update) return null;
  const metrics = update.metrics ?? {};
  const [title, good] = outcome(update, metrics);
  const moved = nowLive(update, live, good);
  const kept = good || moved.length ? [] : [metrics.judged ? "The labels are kept." : "Your labels are kept."];
  const lines = [...kept, ...moved, ...verdict(metrics, good)];
  return { title, lines, details: details(metrics), good };
}

export function isRunning(state) {
  return RUNNING.has(state.update?.state);
}

function updateActivity(update) {
  if (update.state === "open") return "An update starts in a moment";
  if (update.state === "gating") return "Checking the new version";
  if (update.state === "training" && update.steps_total) {
    return `Training, step ${update.steps_done} of ${update.steps_total}`;
  }
  return "Preparing the update";
}

function outcome(update, metrics) {
  const why = update.reason ? stripped(firstLine(update.reason)) : "";
  if (update.state === "promoted") {
    const whose = whoseLabels({ ...metrics, mine: update.my_labels });
    return [`${whose} made version ${update.version_id}${wins(update)}.`, true];
  }
  if (update.state === "rejected") {
    return [why ? `The new version was kept back: ${why}.` : "The new version was kept back.", false];
  }
  return [why ? `The last update failed: ${why}.` : "The last update failed.", false];
}

/** "; it wins 61 % [52, 70] against version 6", where a judge has compared them. */
function wins({ metrics, parent }) {
  const won = metrics?.win_rate;
  if (!won?.pairs) return "";
  const other = isNumber(parent) ? `version ${parent}` : "the version before";
  return `; it wins ${percent(won.rate)} ${interval(won)} against ${other}`;
}

/** Somebody made another version live since. */
function nowLive(update, live, good) {
  if (!isNumber(live) || !isNumber(update.version_id) || (live === update.version_id) === good) return [];
  return [good ? `Version ${live} is live again.` : "It was made live by hand."];
}

/** The gate's findings, for people. */
function verdict(metrics, isInTitle) {
  const { agreement, win_rate: won } = metrics;
  return [
    ...(agreement?.labels
      ? [`Agrees with ${percent(agreement.candidate)} of ${counted(agreement.labels, "vote")} kept aside (before: ${percent(agreement.live)}).`]
      : []),
    ...(won?.pairs && !isInTitle
      ? [`Wins ${percent(won.rate)} ${interval(won)} against the version before, says the judge.`]
      : []),
    ...lengthChange(metrics.tokens_live, metrics.tokens_candidate),
    ...distance(metrics.kl_live),
  ];
}

function lengthChange(before, now) {
  if (!(before > 0) || !isNumber(now)) return [];
  const change = Math.round(100 * (now / before - 1));
  if (Math.abs(change) < 5) return ["Replies are as long as before."];
  return [`Replies are ${Math.abs(change)} % ${change > 0 ? "longer" : "shorter"}.`];
}

/** KL from the version before, nats a token: 0.1 is 10 % less likely words on average. */
function distance(nats) {
  if (!isNumber(nats)) return [];
  if (nats < 0.02) return ["It speaks almost as before."];
  return [nats < 0.2 ? "It speaks a little differently." : "It speaks very differently."];
}

/** Figures for those who want them: [name, value] each. */
function details(metrics) {
  const change = (name, from, to, shown) =>
    isNumber(from) && isNumber(to) ? [[name, `${shown(from)} → ${shown(to)}`]] : [];
  const single = (name, value, shown) => (isNumber(value) ? [[name, shown(value)]] : []);
  return [
    ...single("Labels held out", metrics.held_out, String),
    ...(metrics.replayed ? [["Older labels replayed", String(metrics.replayed)]] : []),
    ...change("Tokens a reply", metrics.tokens_live, metrics.tokens_candidate, Math.round),
    ...change("Unfinished", metrics.unfinished_live, metrics.unfinished_candidate, percent),
    ...change("Repetition", metrics.repetition_live, metrics.repetition_candidate, percent),
    ...single("KL from the version before, nats a token", metrics.kl_live, (value) => value.toFixed(3)),
    ...single("KL from the base, nats a token", metrics.kl_reference, (value) => value.toFixed(3)),
    ...change("Loss", metrics.loss_first, metrics.loss_last, (value) => value.toFixed(2)),
    ...single("Took", metrics.seconds, duration),
  ];
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} min`;
}

function firstLine(text) {
  return text.trim().split("\n")[0];
}

export function stripped(sentence) {
  return (sentence ?? "").trim().replace(/[.…]+$/, "");
}
