// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { choiceText, offline, waiting } from "../../../../../labeler/web/static/rating/words.js";

test("a choice is named by what stands on screen, and so is its strength", () => {
  assert.equal(choiceText("left", 1), "Reply 1");
  assert.equal(choiceText("right", 2), "Reply 2, much better");
  assert.equal(choiceText("both_bad", 1), "both bad");
});

test("a page without a pair says what the server says, unless there is no server", () => {
  /** @type {{ waiting: [string, string] }} */
  const state = { waiting: ["Sampling", "The next pairs are being written."] };
  assert.deepEqual(waiting(state, false), state.waiting);
  assert.equal(waiting(state, true)[0], "Connection lost");
  assert.equal(waiting(null, false)[0], "One moment");
});

test("a page without a connection says what is saved, what waits, and how long its pairs will do", () => {
  assert.equal(offline(0, 29), "All your votes are saved. 29 more pairs at hand.");
  assert.equal(offline(2, 1), "2 votes waiting here. 1 more pair at hand.");
  assert.equal(offline(1, 0), "1 vote waiting here. No more pairs at hand.");
});
