// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { openBrowser } from "../../../../support/front/browser.js";
import { Clock } from "../../../../support/front/clock.js";
import { Network } from "../../../../support/front/network.js";
import { Random } from "../../../../support/front/random.js";
import { Service } from "../../../../support/front/service.js";
import { openTab } from "../../../../support/front/tab.js";

const CALM_MS = 5_000; // by then every answer is there

/** The pair on screen.
 *
 * @returns {any} */
function shownBy(rating) {
  return rating.shown;
}

/** A tab on a network that works, with its first pair on screen. */
async function opened() {
  openBrowser();
  const clock = new Clock().install();
  const service = new Service();
  const network = new Network({ clock, service, random: new Random(1) });
  network.isFaulty = false;
  const tab = await openTab(network, "tab");
  await clock.advance(CALM_MS);
  return { ...tab, clock, service };
}

test("a vote brings the next pair on screen before the server has heard of it", async () => {
  const { rating, outbox } = await opened();
  const first = rating.shown;
  rating.vote("left", 1, 0);
  assert.notEqual(rating.shown, first);
  assert.equal(outbox.size, 1);
});

test("an undo of a vote that was refused leaves the one before as it is", async () => {
  const { rating, screen, clock, service } = await opened();
  rating.vote("left", 1, 0);
  await clock.advance(CALM_MS);
  service.takeAway(shownBy(rating).leaseId);
  rating.vote("right", 1, 0);
  rating.undo();
  await clock.advance(CALM_MS);
  assert.deepEqual(service.votes.map((vote) => vote.undoneBy), [null]);
  assert.match(screen.told.join(), /was not saved.*Nothing to undo/);
});

test("while an undo is on its way no vote is taken", async () => {
  const { rating, clock, service } = await opened();
  rating.vote("left", 1, 0);
  await clock.advance(CALM_MS);
  rating.undo();
  rating.vote("right", 1, 0);
  assert.equal(shownBy(rating), null);
  await clock.advance(CALM_MS);
  assert.equal(shownBy(rating).line, "pair 1");
  assert.equal(service.votes.length, 1);
});

test("a pair that the rater asked for comes next, and once", async () => {
  const { rating } = await opened();
  /** @type {any} */
  const asked = { lease_id: "asked", version: 1, line: "their own" };
  assert.equal(rating.take(asked), true);
  assert.equal(rating.take(asked), true, "it waits already");
  rating.vote("left", 1, 0);
  assert.equal(shownBy(rating).line, "their own");
  assert.equal(rating.take(asked), false, "it is on screen");
});

test("a vote is on its way whatever becomes of what is shown", async () => {
  const { rating, screen, clock, service } = await opened();
  screen.took = () => {
    throw new Error("nothing can be shown");
  };
  assert.throws(() => rating.vote("left", 1, 0), /nothing can be shown/);
  await clock.advance(CALM_MS);
  assert.equal(service.votes.length, 1);
});
