// @ts-check
import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";

import { Outbox, REASONS } from "../../../../../labeler/web/static/rating/outbox.js";
import { KEPT } from "../../../../../labeler/web/static/shared/base.js";
import { Shelf, openBrowser, openTabs } from "../../../../support/front/browser.js";

const RATER = "5a.7"; // at this service
const ids = (votes) => votes.map((vote) => vote.vote_id);

function vote(vote_id, more = {}) {
  return { vote_id, lease_id: `lease of ${vote_id}`, choice: "left", strength: 1, seconds: 2, ...more };
}

/** The outbox of a tab, with these votes cast in it. */
function outboxOf(holder, ...votes) {
  /** @type {Outbox<any>} */
  const outbox = new Outbox(holder, RATER);
  for (const each of votes) outbox.add(vote(each));
  return outbox;
}

beforeEach(() => openBrowser());

test("votes are taken in the order in which they were cast, and stay until they are removed", () => {
  const outbox = outboxOf("tab", "1", "2", "3");
  assert.deepEqual(ids(outbox.take(2)), ["1", "2"]);
  assert.deepEqual(ids(outbox.take(9)), ["1", "2", "3"]);
  outbox.remove(["1", "2"]);
  assert.deepEqual(ids(outbox.take(9)), ["3"]);
});

test("votes survive a reload, and for each person only their own", () => {
  outboxOf("tab", "1", "2");
  assert.deepEqual(ids(new Outbox("tab", RATER).take(9)), ["1", "2"]);
  assert.equal(new Outbox("tab", "5a.8").size, 0);
  assert.equal(new Outbox("tab", RATER, REASONS).size, 0);
});

test("only a vote that was never sent is withdrawn, with its pair", () => {
  const outbox = outboxOf("tab", "1");
  outbox.take(1);
  /** @type {any} */
  const pair = { leaseId: "its lease" };
  outbox.add(vote("2"), pair);
  assert.deepEqual([outbox.newestId, outbox.withdraw()?.pair], ["2", pair]);
  assert.equal(outbox.withdraw(), null);
  assert.equal(outboxOf("tab").withdraw(), null, "it may have been sent before the reload");
});

test("reasons go with their vote until it is sent", () => {
  const outbox = outboxOf("tab", "1");
  assert.equal(outbox.amend("1", { reasons: ["tone"] }), true);
  assert.deepEqual(outbox.take(1), [vote("1", { reasons: ["tone"] })]);
  assert.equal(outbox.amend("1", { reasons: ["late"] }), false);
});

test("one request carries as many edits as fit, and one at least", () => {
  const outbox = new Outbox("tab", RATER);
  for (const each of ["1", "2", "3"]) outbox.add(vote(each, { edit: "é".repeat(60_000) }));
  assert.deepEqual(ids(outbox.take(9)), ["1"]);
});

test("the votes of a closed tab come before one's own, and those of an open one are left alone", async () => {
  outboxOf("closed", "1", "2");
  outboxOf("open", "3");
  openTabs.add("open");
  const outbox = outboxOf("tab", "4");
  await outbox.adopt();
  assert.deepEqual(ids(outbox.take(9)), ["1", "2", "4"]);
  assert.deepEqual(ids(new Outbox("tab", RATER).take(9)), ["1", "2", "4"]);
  assert.deepEqual(ids(new Outbox("open", RATER).take(9)), ["3"]);
  assert.equal(new Outbox("closed", RATER).size, 0);
});

test("votes of a closed tab stay where they are while the storage is full", async ({ mock }) => {
  mock.method(console, "warn", () => {});
  outboxOf("closed", "1");
  const outbox = outboxOf("tab");
  Shelf.isFull = true;
  await outbox.adopt();
  assert.equal(outbox.has("1"), true);
  assert.equal(new Outbox("closed", RATER).has("1"), true);
  outbox.remove(["1"]);
  Shelf.isFull = false;
  await outbox.adopt();
  assert.equal(outbox.has("1"), true, "sent twice it counts once; lost it counts never");
});

test("a vote is kept in memory while the storage is full", ({ mock }) => {
  mock.method(console, "warn", () => {});
  Shelf.isFull = true;
  assert.deepEqual(ids(outboxOf("tab", "1").take(9)), ["1"]);
});

test("a storage that holds no votes is as good as an empty one", () => {
  localStorage.setItem(`${KEPT}.outbox.${RATER}.tab`, "{broken");
  assert.equal(new Outbox("tab", RATER).size, 0);
});

test("an undo means the last vote of this tab, and not one that a closed tab has left meanwhile", async () => {
  const outbox = outboxOf("tab", "mine");
  outbox.remove(["mine"]);
  outboxOf("closed", "another");
  assert.equal(await outbox.adopt(), true);
  assert.equal(outbox.newestId, null);
  outbox.add(vote("next"));
  assert.equal(outbox.newestId, "next");
  assert.equal(await outbox.adopt(), false);
});

test("an undo in a tab that was reloaded means no vote that a closed tab has left", async () => {
  outboxOf("tab", "mine").remove(["mine"]);
  outboxOf("closed", "another");
  const reloaded = outboxOf("tab");
  await reloaded.adopt();
  assert.equal(reloaded.newestId, null);
  const again = outboxOf("tab");
  assert.equal(again.newestId, null);
  assert.deepEqual(again.take(9), [vote("another")], "what is sent is the vote alone");
});

test("an undo in a tab that was reloaded means its own last vote that waits", () => {
  outboxOf("tab", "mine");
  assert.equal(outboxOf("tab").newestId, "mine");
});

test("without Web Locks the votes of a tab that says nothing are taken over, and not those of another", async () => {
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  outboxOf("closed", "1");
  outboxOf("asleep", "2");
  outboxOf("open", "3");
  localStorage.setItem(`${KEPT}.alive.asleep`, String(Date.now() - 121_000));
  localStorage.setItem(`${KEPT}.alive.open`, String(Date.now() - 60_000));
  const outbox = outboxOf("tab");
  await outbox.adopt();
  assert.deepEqual(ids(outbox.take(9)).toSorted(), ["1", "2"]);
});

test("votes for one service are left alone by another at the same address", async () => {
  outboxOf("tab", "1");
  outboxOf("closed", "2");
  const other = new Outbox("tab", "5b.7");
  await other.adopt();
  assert.equal(other.size, 0);
  assert.deepEqual(ids(new Outbox("tab", RATER).take(9)), ["1"]);
});

test("votes from before services were told apart are taken up once, by the tab itself or the next one", async () => {
  for (const holder of ["tab", "closed"]) {
    localStorage.setItem(`${KEPT}.outbox.7.${holder}`, JSON.stringify([vote(`of ${holder}`)]));
    localStorage.setItem(`${KEPT}.outbox.70.${holder}`, JSON.stringify([vote("of somebody else")]));
  }
  const outbox = outboxOf("tab");
  await outbox.adopt();
  assert.deepEqual(ids(outbox.take(9)), ["of closed", "of tab"]);
  assert.deepEqual(ids(new Outbox("tab", RATER).take(9)), ["of closed", "of tab"]);
  outbox.remove(["of closed", "of tab"]);
  await outbox.adopt();
  assert.deepEqual([outbox.size, new Outbox("tab", RATER).size], [0, 0]);
});
