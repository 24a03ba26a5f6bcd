// @ts-check
// Which key means what. Digits go by their place on the keyboard, letters by what they print
// (by their place where a layout prints no Latin letters).

import { isComposing } from "../shared/composing.js";

/** @typedef {import("./server.js").Choice} Choice */
/** What a key means: a vote, or the name of a command.
 *
 * @typedef {{ kind: "vote", choice: Choice, strength: number } | { kind: Command }} Action */
/** @typedef {"undo" | "edit" | "why" | "history" | "guidelines" | "plain" | "differences" | "together" | "ask" | "changes" | "help"} Command */

/** @type {Choice[]} By the digits from 1. */
const SIDES = ["left", "right"];
/** @type {Record<string, Choice>} */
const VOTES = { t: "tie", b: "both_bad", s: "skip" };
/** @type {Record<string, Command>} */
const COMMANDS = {
  u: "undo",
  e: "edit",
  r: "why",
  h: "history",
  g: "guidelines",
  p: "plain",
  d: "differences",
  y: "together",
  o: "ask",
  c: "changes",
};
const FIELDS = "input, textarea, select, [contenteditable]";

/** What a key means here, or null.
 *
 * @param {KeyboardEvent} event
 * @returns {Action | null} */
export function actionOf(event) {
  if (isBusy(event)) return null;
  const side = SIDES[(digitOf(event) ?? 0) - 1];
  if (side) return { kind: "vote", choice: side, strength: isMuch(event) ? 2 : 1 };
  if (event.key === "?") return { kind: "help" };
  const letter = letterOf(event);
  if (letter in VOTES) return { kind: "vote", choice: VOTES[letter], strength: 1 };
  return letter in COMMANDS ? { kind: COMMANDS[letter] } : null;
}

/** The digit from 1 to 9 at this place of the keyboard, whatever the layout types there; or null.
 *
 * @param {KeyboardEvent} event */
export function digitOf(event) {
  const digit = event.code.match(/^(?:Digit|Numpad)([1-9])$/)?.[1];
  return digit && !isCursorKey(event) ? Number(digit) : null;
}

/** Held down, part of a shortcut or of a composed character, or typed into a field.
 *
 * @param {KeyboardEvent} event */
function isBusy(event) {
  const shortcut = event.ctrlKey || event.altKey || event.metaKey;
  const composing = isComposing(event) || event.getModifierState("AltGraph");
  const [target] = event.composedPath();
  const typing = target instanceof Element && target.closest(FIELDS);
  return event.repeat || shortcut || composing || Boolean(typing);
}

/** With Shift; but where a layout needs Shift to type the digit, nothing more is meant by it.
 *
 * @param {KeyboardEvent} event */
function isMuch(event) {
  return event.shiftKey && !/^\d$/.test(event.key);
}

/** The number pad without Num Lock moves the cursor.
 *
 * @param {KeyboardEvent} event */
function isCursorKey(event) {
  return event.code.startsWith("Numpad") && !/^\d$/.test(event.key);
}

/** @param {KeyboardEvent} event */
function letterOf(event) {
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  const latin = /^[\x20-\x7e]$/.test(event.key);
  return latin ? "" : (event.code.match(/^Key([A-Z])$/)?.[1].toLowerCase() ?? "");
}
