// @ts-check
// What the page says by itself: of a choice, and of a connection that is not there.

import { counted } from "../shared/dom.js";

/**
 * @param {import("./server.js").Choice} choice
 * @param {number} strength */
export function choiceText(choice, strength) {
  const name = { left: "Reply 1", right: "Reply 2", tie: "tie", both_bad: "both bad", skip: "skip" };
  return name[choice] + (strength === 2 ? ", much better" : "");
}

/** Of a connection that is lost: what is saved, what waits, and how long the pairs here will do.
 *
 * @param {number} waitingVotes
 * @param {number} pairs */
export function offline(waitingVotes, pairs) {
  const votes = waitingVotes ? `${counted(waitingVotes, "vote")} waiting here` : "All your votes are saved";
  return `${votes}. ${pairs ? `${counted(pairs, "more pair")} at hand` : "No more pairs at hand"}.`;
}

/** Title and explanation for a page that has no pair to show.
 *
 * @param {Pick<import("./server.js").State, "waiting"> | null} state
 * @param {boolean} lost */
export function waiting(state, lost) {
  if (lost) return ["Connection lost", "This page reconnects by itself. Your votes are kept until then."];
  return state?.waiting ?? ["One moment", "Loading the first pair."];
}
