// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Pace } from "../../../../../labeler/web/static/rating/pace.js";

test("the pace of fewer than three votes is not known", () => {
  const pace = new Pace();
  for (const seconds of [5, 15]) pace.voted(seconds);
  assert.equal(pace.pairs(300), 0);
  pace.voted(10);
  assert.equal(pace.pairs(300), 30);
});

test("the pace goes by the last ten votes", () => {
  const pace = new Pace();
  for (let vote = 0; vote < 20; vote++) pace.voted(vote < 10 ? 60 : 7);
  assert.equal(pace.pairs(300), 43);
});

test("nobody is held to be quicker than a vote a second", () => {
  const pace = new Pace();
  for (let vote = 0; vote < 3; vote++) pace.voted(0);
  assert.equal(pace.pairs(300), 300);
});
