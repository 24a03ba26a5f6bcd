// @ts-check
// What the page says by itself: of a choice, and of a connection that is not there.

/**
 * @param {import("./server.js").Choice} choice
 * @param {number} strength */
export function choiceText(choice, strength) {
  const name = { left: "Reply 1", right: "Reply 2", tie: "tie", both_bad: "both bad", skip: "skip" };
  return name[choice] + (strength === 2 ? ", much better" : "");
}

/** Title and explanation for a page that has no pair to show.
 *
 * @param {Pick<import("./server.js").State, "waiting"> | null} state
 * @param {boolean} lost */
export function waiting(state, lost) {
  if (lost) return ["Connection lost", "This page reconnects by itself. Your votes are kept until then."];
  return state?.waiting ?? ["One moment", "Loading the first pair."];
}
