// Which key means what. Digits go by their place on the keyboard, letters by what they print
// (by their place where a layout prints no Latin letters).

const DIGITS = { Digit1: "left", Digit2: "right", Numpad1: "left", Numpad2: "right" };
const VOTES = { t: "tie", b: "both_bad", s: "skip" };
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

/** { kind: "vote", choice, strength }, or { kind } of a command, or null. */
export function actionOf(event) {
  if (isBusy(event)) return null;
  if (event.code in DIGITS && !isCursorKey(event)) {
    return { kind: "vote", choice: DIGITS[event.code], strength: event.shiftKey ? 2 : 1 };
  }
  if (event.key === "?") return { kind: "help" };
  const letter = letterOf(event);
  if (letter in VOTES) return { kind: "vote", choice: VOTES[letter], strength: 1 };
  return letter in COMMANDS ? { kind: COMMANDS[letter] } : null;
}

/** Held down, part of a shortcut or of a composed character, or typed into a field. */
function isBusy(event) {
  const shortcut = event.ctrlKey || event.altKey || event.metaKey;
  const composing = event.isComposing || event.getModifierState("AltGraph");
  const typing = event.composedPath()[0].closest?.(FIELDS);
  return event.repeat || shortcut || composing || Boolean(typing);
}

/** The number pad without Num Lock moves the cursor. */
function isCursorKey(event) {
  return event.code.startsWith("Numpad") && !/^\d$/.test(event.key);
}

function letterOf(event) {
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  const latin = /^[\x20-\x7e]$/.test(event.key);
  return latin ? "" : (event.code.match(/^Key([A-Z])$/)?.[1].toLowerCase() ?? "");
}
