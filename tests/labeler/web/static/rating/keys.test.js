// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { actionOf, digitOf } from "../../../../../labeler/web/static/rating/keys.js";

/** What a key is typed into. */
class Target {
  constructor(isField = false) {
    this.isField = isField;
  }

  closest() {
    return this.isField ? this : null;
  }
}
Object.assign(globalThis, { Element: Target });

/** A key as a browser reports it.
 *
 * @returns {any} */
function key(code, typed, more = {}) {
  const plain = { ctrlKey: false, altKey: false, metaKey: false, shiftKey: false, repeat: false, isComposing: false };
  const target = new Target();
  return { code, key: typed, keyCode: 0, ...plain, getModifierState: () => false, composedPath: () => [target], ...more };
}

const LEFT = { kind: "vote", choice: "left", strength: 1 };

test("digits vote by their place, whatever the layout types there", () => {
  assert.deepEqual(actionOf(key("Digit1", "1")), LEFT);
  assert.deepEqual(actionOf(key("Digit1", "&")), LEFT);
  assert.deepEqual(actionOf(key("Numpad1", "1")), LEFT);
  assert.equal(digitOf(key("Digit9", "ç")), 9);
  assert.equal(digitOf(key("Digit0", "0")), null);
});

test("shift means much better, but not where it is needed to type the digit", () => {
  assert.deepEqual(actionOf(key("Digit2", '"', { shiftKey: true })), { kind: "vote", choice: "right", strength: 2 });
  assert.deepEqual(actionOf(key("Digit1", "1", { shiftKey: true })), LEFT);
});

test("letters go by what they print, and by their place where no Latin letter is printed", () => {
  assert.deepEqual(actionOf(key("KeyT", "t")), { kind: "vote", choice: "tie", strength: 1 });
  assert.deepEqual(actionOf(key("KeyY", "t")), { kind: "vote", choice: "tie", strength: 1 }, "Dvorak");
  assert.deepEqual(actionOf(key("KeyT", "е")), { kind: "vote", choice: "tie", strength: 1 }, "Russian");
  assert.deepEqual(actionOf(key("KeyU", "U", { shiftKey: true })), { kind: "undo" });
  assert.equal(actionOf(key("KeyQ", "q")), null);
});

test("the question mark asks for help wherever it is", () => {
  assert.deepEqual(actionOf(key("Minus", "?", { shiftKey: true })), { kind: "help" });
});

test("keys that belong to somebody else do nothing", () => {
  for (const name of ["ctrlKey", "altKey", "metaKey", "repeat", "isComposing"]) {
    assert.equal(actionOf(key("Digit1", "1", { [name]: true })), null, name);
  }
  const field = new Target(true);
  assert.equal(actionOf(key("Digit1", "1", { composedPath: () => [field] })), null, "a field");
  assert.equal(actionOf(key("Digit1", "1", { composedPath: () => [{}] }))?.kind, "vote", "the window itself");
  assert.equal(actionOf(key("Digit1", "1", { getModifierState: () => true })), null, "AltGr");
  assert.equal(actionOf(key("Digit1", "Process", { keyCode: 229 })), null, "a composition");
  assert.equal(actionOf(key("Numpad1", "End")), null, "the number pad as cursor keys");
});
