// What the page says: sentences from the state of the loop.

import { counted } from "./dom.js";

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
    return ["Training on your labels", `${updateActivity(state.update)}. The next pairs come soon.`];
  }
  return ["Sampling the next pairs", "They appear here by themselves."];
}

/** Progress to the next update: [done, wanted, sentence]. */
export function progress(state) {
  const wanted = state.labels_per_update;
  const done = Math.min(state.fresh, wanted);
  return [done, wanted, `${done} of ${wanted} labels to the next update`];
}

/** What the last update did: { title, lines, good } or null. */
export function result(update) {
  if (!update) return null;
  const metrics = update.metrics ?? {};
  if (update.state === "promoted") {
    const labels = metrics.labels ? `Your ${counted(metrics.labels, "label")}` : "Your labels";
    return { title: `${labels} made version ${update.version_id}.`, lines: figures(metrics), good: true };
  }
  const why = update.reason ? `${stripped(firstLine(update.reason))}.` : "";
  const title = update.state === "rejected" ? "The new version was not taken." : "The last update failed.";
  return { title, lines: [why, "Your labels are kept.", ...figures(metrics)].filter(Boolean), good: false };
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

function figures(metrics) {
  const change = (name, from, to) =>
    isNumber(from) && isNumber(to) ? [`${name} ${from.toFixed(2)} → ${to.toFixed(2)}`] : [];
  return [
    ...change("Agreement with these labels", metrics.accuracy_before, metrics.accuracy_after),
    ...change("Loss", metrics.loss_first, metrics.loss_last),
    ...(isNumber(metrics.seconds) ? [`Took ${duration(metrics.seconds)}`] : []),
  ];
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} min`;
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function firstLine(text) {
  return text.trim().split("\n")[0];
}

function stripped(sentence) {
  return (sentence ?? "").trim().replace(/[.…]+$/, "");
}
