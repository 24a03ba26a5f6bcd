// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Pump } from "../../../../../labeler/web/static/rating/pump.js";
import { Unreachable } from "../../../../../labeler/web/static/shared/send.js";
import { Clock, settled } from "../../../../support/front/clock.js";

const VIEW = { connected: () => {}, disconnected: () => {} };

function fail() {
  return Promise.reject(new Unreachable("no answer"));
}

test("what is wanted during a turn is said in one turn after it", async () => {
  let turns = 0;
  const pump = new Pump({ turn, view: VIEW, onState: () => {} });
  async function turn() {
    turns += 1;
    if (turns === 1) for (let asked = 0; asked < 3; asked++) pump.sync();
  }
  pump.sync();
  await settled();
  assert.deepEqual([turns, pump.isResting], [2, true]);
});

test("a turn that failed is taken again, later each time but never later than four seconds", async () => {
  const clock = new Clock().install();
  /** @type {number[]} */
  const at = [];
  const turn = () => {
    at.push(clock.now);
    return fail();
  };
  const pump = new Pump({ turn, view: VIEW, onState: () => {} });
  pump.sync();
  await clock.advance(30_000);
  const waits = at.slice(1).map((time, place) => Math.round(time - at[place]));
  assert.deepEqual(waits.slice(0, 8), [250, 400, 640, 1024, 1638, 2621, 4000, 4000]);
  assert.deepEqual([pump.isLost, pump.isResting], [true, false]);
});

test("a look that fails beside a turn does not keep the next failure from being tried again", async () => {
  const clock = new Clock().install();
  let turns = 0;
  const turn = () => {
    turns += 1;
    return new Promise((_resolve, reject) => setTimeout(() => reject(new Unreachable("lost")), 1_000));
  };
  const pump = new Pump({ turn, view: VIEW, onState: () => {} });
  pump.sync();
  assert.equal(await pump.look(fail), false);
  await clock.advance(60_000);
  assert.ok(turns > 5, `${turns} turns`);
});

test("a server that takes long is asked less often for what it does not have, but never hardly ever", async () => {
  const clock = new Clock().install();
  const pump = new Pump({ turn: async () => {}, view: VIEW, onState: () => {} });
  assert.ok(pump.isRested(clock.now));
  for (const [took, rest] of [
    [300, 1_200],
    [60_000, 4_000],
  ]) {
    const answer = pump.ask(() => new Promise((resolve) => setTimeout(() => resolve({ state: {} }), took)));
    await clock.advance(took);
    await answer;
    const rested = clock.now + rest;
    assert.deepEqual([pump.isRested(rested - 1), pump.isRested(rested)], [false, true]);
  }
});

test("an answer that comes late does not bring back an older state", async () => {
  /** @type {any[]} */
  const seen = [];
  const pump = new Pump({ turn: async () => {}, view: VIEW, onState: (state) => seen.push(state) });
  let answer = (_state) => {};
  const late = pump.ask(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  await pump.ask(async () => ({ state: "newer" }));
  answer({ state: "older" });
  await late;
  assert.deepEqual(seen, ["newer"]);
});
