// What is said of an update in the list of changes, and whose labels made it.

import { counted } from "../shared/dom.js";
import { interval, percent } from "../shared/numbers.js";

/** "Version 7 is live" and the like. */
export function changeTitle({ state, version_id: version, live }) {
  if (state === "failed" || version === null) return "No new version";
  if (live?.now) return `Version ${version} is live`;
  if (live?.taken_back) return `Version ${version} was taken back`;
  if (live) return `Version ${version} went live`;
  return `Version ${version} was kept back`;
}

/** The rest, a sentence each. */
export function changeWords(change) {
  return [part(change), ...fate(change), ...agreement(change.agreement)];
}

/** "Your 16 labels", or whose else they are; `verb` follows. */
export function whoseLabels({ labels, judged = 0, mine }) {
  if (!labels) return judged ? "The judge's labels" : "Your labels";
  if (judged >= labels) return `${counted(labels, "label")} of the judge`;
  const own = mine ?? labels - judged;
  if (own >= labels) return `Your ${counted(labels, "label")}`;
  const shares = [...(own && mine !== undefined ? [`${own} of them yours`] : []), ...(judged ? [`${judged} of them the judge's`] : [])];
  if (!shares.length) return `${counted(labels, "label")} of other people`;
  return `${counted(labels, "label")}, ${shares.join(" and ")},`;
}

function part({ labels, my_labels: mine, state }) {
  if (!labels) return mine ? `It was to learn from ${counted(mine, "label")} of yours.` : "It had learned nothing yet.";
  const learned = state === "promoted" ? "learned" : "had learned";
  if (mine >= labels) return `It ${learned} from ${counted(labels, "label")}, all of them yours.`;
  return `It ${learned} from ${counted(labels, "label")}, ${mine || "none"} of them yours.`;
}

function fate({ state, reason, live }) {
  const why = reason ? reason.trim().split("\n")[0].replace(/[.…]+$/, "") : "";
  if (state === "failed") return [why ? `The update failed: ${why}.` : "The update failed.", "All labels are kept."];
  const kept = state === "rejected" ? [why ? `It was kept back: ${why}.` : "It was kept back."] : [];
  if (state === "rejected" && live) kept.push("A person made it live all the same.");
  if (state === "rejected" && !live) kept.push("Its labels are kept.");
  if (live && !live.now) kept.push(left(live));
  return kept;
}

function left({ until, then, taken_back: back }) {
  const when = new Date(1000 * until).toLocaleString();
  return back ? `Version ${then} is in its place again since ${when}.` : `Version ${then} followed on ${when}.`;
}

function agreement(found) {
  if (!found) return [];
  const { before, after } = found;
  const share = (one) => `${percent(one.rate)} ${interval(one)}`;
  return [`Agrees with ${share(after)} of ${counted(after.count, "vote")} kept aside; before: ${share(before)}.`];
}
