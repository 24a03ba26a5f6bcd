// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Buffer } from "../../../../../labeler/web/static/rating/buffer.js";
import { Unreachable } from "../../../../../labeler/web/static/shared/send.js";

const STATE = { live: 1, ready: 8, counting: [1] };
const NEXT = { live: 2, ready: 8, counting: [2, 1] };

/** @returns {any} */
function prepare({ lease_id: leaseId, version }) {
  return { leaseId, version, seen: false, own: false };
}

/** The lease of a pair.
 *
 * @param {any} pair */
function leaseOf(pair) {
  return pair?.leaseId ?? null;
}

/** A buffer, and a server that hands out these leases and notes what it was asked for. `outage.pairs`:
 *  how many this rater gets through in one. */
async function filled(...leases) {
  /** @type {any[]} */
  const asked = [];
  /** @type {any[]} */
  const pairs = leases.map((lease_id) => ({ lease_id, version: 1 }));
  /** @type {any} */
  const outage = { pairs: 0, state: STATE };
  const server = {
    pairs: async (body) => {
      asked.push(body);
      return { pairs: pairs.splice(0), state: outage.state };
    },
  };
  const buffer = new Buffer({ holder: "tab", server, prepare, pace: { pairs: () => outage.pairs } });
  /** @type {(state?: import("../../../../../labeler/web/static/rating/buffer.js").Live | null, unsent?: string[]) => Promise<void>} */
  const refill = (state = STATE, unsent = []) => buffer.refill((request) => request(), state, () => unsent);
  await refill(null);
  buffer.next();
  return { buffer, asked, pairs, refill, outage };
}

test("pairs come on screen in the order in which they were leased", async () => {
  const { buffer } = await filled("a", "b");
  assert.equal(leaseOf(buffer.shown), "a");
  assert.equal(leaseOf(buffer.next()), "b");
  assert.equal(buffer.next(), null);
});

test("a full buffer asks for nothing, and one with a vote on its way for the pair after", async () => {
  const { buffer, asked, refill } = await filled("a", "b", "c");
  await refill();
  assert.equal(asked.length, 1);
  buffer.next();
  await refill(STATE, ["a"]);
  assert.deepEqual(asked.at(-1), { holder: "tab", shown: ["a", "b", "c"], give_back: [], wanted: 4, spare: 0 });
});

test("what an outage would take is put by, a few at a time", async () => {
  const { buffer, asked, pairs, refill, outage } = await filled("a", "b", "c");
  outage.pairs = 30;
  pairs.push(..."defghijk".split("").map((lease_id) => ({ lease_id, version: 1 })));
  await refill();
  await refill();
  const wishes = asked.slice(1).map(({ wanted, spare }) => [wanted, spare]);
  assert.deepEqual(wishes, [
    [3, 8],
    [3, 16],
  ]);
  assert.equal(buffer.behind, 10);
  outage.pairs = 11;
  await refill();
  assert.equal(asked.length, 3);
});

test("the newest pairs come first, after those that the rater has seen or asked for", async () => {
  const { buffer, pairs, refill, outage } = await filled("a", "b", "own");
  outage.state = { ...NEXT, counting: [2, 3, 1] };
  outage.pairs = 9;
  Object.assign(buffer.find("own") ?? {}, { own: true });
  pairs.push({ lease_id: "gone", version: 3 }, { lease_id: "new", version: 2 }, { lease_id: "old", version: 1 });
  await refill();
  assert.deepEqual(buffer.leaseIds, ["a", "own", "new", "gone", "b", "old"]);
});

test("pairs on which a vote would not count are given back whatever is ready", async () => {
  const { buffer, asked, refill } = await filled("a", "b", "c", "d");
  await refill({ live: 4, ready: 0, counting: [4, 3, 2] });
  assert.deepEqual(asked.at(-1).give_back, ["b", "c", "d"]);
  assert.deepEqual(buffer.leaseIds, ["a"]);
});

test("a pair that is handed out twice is held once", async () => {
  const { buffer, pairs, refill } = await filled("a", "b");
  pairs.push({ lease_id: "b", version: 1 }, { lease_id: "voted", version: 1 }, { lease_id: "c", version: 1 });
  await refill(STATE, ["voted"]);
  assert.deepEqual(buffer.leaseIds, ["a", "b", "c"]);
});

test("the last unseen pairs of an older version are given back, as many as new ones are ready", async () => {
  const { buffer, asked, refill } = await filled("a", "b", "c", "d", "e");
  await refill({ ...NEXT, ready: 1 });
  assert.deepEqual(asked.at(-1).give_back, ["e"]);
  Object.assign(buffer.find("b") ?? {}, { own: true });
  await refill(NEXT);
  assert.deepEqual(asked.at(-1).give_back, ["d"]);
  assert.deepEqual(buffer.leaseIds, ["a", "b", "c"]);
});

test("pairs that could not be given back are kept", async () => {
  const { buffer } = await filled("a", "b", "c");
  const lost = () => Promise.reject(new Unreachable("no answer"));
  await assert.rejects(buffer.refill(lost, NEXT, () => []), Unreachable);
  assert.deepEqual(buffer.leaseIds, ["a", "b", "c"]);
});

test("the pair that is interrupted comes next", async () => {
  const { buffer } = await filled("a", "b", "c");
  buffer.interrupt(/** @type {any} */ (buffer.find("c")));
  assert.deepEqual(buffer.leaseIds, ["c", "a", "b"]);
  buffer.interrupt(prepare({ lease_id: "undone", version: 1 }));
  assert.deepEqual(buffer.leaseIds, ["undone", "c", "a", "b"]);
});

test("a pair that is put first waits once", async () => {
  const { buffer } = await filled("a", "b", "c");
  buffer.putFirst(/** @type {any} */ (buffer.find("c")));
  assert.deepEqual(buffer.leaseIds, ["a", "c", "b"]);
});
