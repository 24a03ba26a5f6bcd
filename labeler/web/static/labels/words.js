// @ts-check
// What is said of votes and pairs.

/** What a vote said, in the order in which the pair is stored.
 *
 * @typedef {{ choice: "a" | "b" | "tie" | "both_bad" | "skip", strength: number }} Vote */

export const CHOICES = { a: "reply a", b: "reply b", tie: "tie", both_bad: "both bad", skip: "skip" };
/** @type {Record<string, string>} */
export const PURPOSES = {
  loop: "sampled",
  own: "a rater's own prompt",
  edit: "an edit",
  gold: "gold",
  repeat: "a repeat",
};
/** @type {Record<string, string>} */
export const STATES = { ready: "waiting for votes", labelled: "labelled", expired: "expired", check: "check" };
export const SOURCES = { human: "people", judge: "judge" };
export const FLAGS = {
  too_fast: "too fast to have been read",
  set_aside: "set aside",
  disagree: "people disagree",
  edited: "edited",
  commented: "with a comment",
};

/** "reply a", "reply b, much", "both bad".
 *
 * @param {Vote} vote */
export function choiceText({ choice, strength }) {
  return CHOICES[choice] + (strength > 1 ? ", much" : "");
}

/** The same as a sentence.
 *
 * @param {Vote} vote */
export function choiceSentence({ choice, strength }) {
  if (choice === "a" || choice === "b") return `${choice} is ${strength > 1 ? "much " : ""}better`;
  return { tie: "a tie", both_bad: "both are bad", skip: "skipped" }[choice];
}
