// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Buffer } from "../../../../../labeler/web/static/rating/buffer.js";
import { Unreachable } from "../../../../../labeler/web/static/shared/send.js";

const STATE = { live: 1, ready: 8 };

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

/** A buffer, and a server that hands out these leases and notes what it was asked for. */
async function filled(...leases) {
  /** @type {any[]} */
  const asked = [];
  /** @type {any[]} */
  const pairs = leases.map((lease_id) => ({ lease_id, version: 1 }));
  const server = {
    pairs: async (body) => {
      asked.push(body);
      return { pairs: pairs.splice(0) };
    },
  };
  const buffer = new Buffer({ holder: "tab", server, prepare });
  /** @type {(state?: { live: number, ready: number } | null, unsent?: string[]) => Promise<void>} */
  const refill = (state = STATE, unsent = []) => buffer.refill((request) => request(), state, () => unsent);
  await refill(null);
  buffer.next();
  return { buffer, asked, pairs, refill };
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
  assert.deepEqual(asked.at(-1), { holder: "tab", shown: ["a", "b", "c"], give_back: [], wanted: 4 });
});

test("a pair that is handed out twice is held once", async () => {
  const { buffer, pairs, refill } = await filled("a", "b");
  pairs.push({ lease_id: "b", version: 1 }, { lease_id: "voted", version: 1 }, { lease_id: "c", version: 1 });
  await refill(STATE, ["voted"]);
  assert.deepEqual(buffer.leaseIds, ["a", "b", "c"]);
});

test("unseen pairs of an older version are given back, as many as are ready", async () => {
  const { buffer, asked, refill } = await filled("a", "b", "c", "d");
  Object.assign(buffer.find("b") ?? {}, { own: true });
  await refill({ live: 2, ready: 1 });
  assert.deepEqual(asked.at(-1).give_back, ["c"]);
  assert.deepEqual(buffer.leaseIds, ["a", "b", "d"]);
});

test("pairs that could not be given back are kept", async () => {
  const { buffer } = await filled("a", "b", "c");
  const lost = () => Promise.reject(new Unreachable("no answer"));
  await assert.rejects(buffer.refill(lost, { live: 2, ready: 8 }, () => []), Unreachable);
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
