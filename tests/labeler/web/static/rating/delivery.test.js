// @ts-check
import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";

import { Delivery } from "../../../../../labeler/web/static/rating/delivery.js";
import { Outbox, REASONS } from "../../../../../labeler/web/static/rating/outbox.js";
import { Refused } from "../../../../../labeler/web/static/shared/send.js";
import { openBrowser } from "../../../../support/front/browser.js";

const ask = (request) => request();

/** A delivery of three votes, one of which the server does not understand, refuses or knows already. */
function deliveryOf({ notUnderstood = "", refused = "", known = "" }) {
  /** @type {Outbox<any>} */
  const outbox = new Outbox("tab", "7");
  /** @type {Outbox<any>} */
  const reasons = new Outbox("tab", "7", REASONS);
  for (const vote_id of ["1", "2", "3"]) outbox.add({ vote_id });
  /** @type {any[]} */
  const saved = [];
  /** @type {any[]} */
  const told = [];
  /** @type {any} */
  const server = {
    votes: async (votes) => {
      if (votes.some(({ vote_id }) => vote_id === notUnderstood)) throw new Refused("The request is invalid.", 422);
      saved.push(votes.map(({ vote_id }) => vote_id));
      const receiptOf = ({ vote_id }) => ({
        vote_id,
        saved: ![refused, known].includes(vote_id),
        reason: "others have it",
        ...(vote_id === known ? { choice: "left", strength: 2 } : {}),
      });
      return { receipts: votes.map(receiptOf) };
    },
    reasons: async (said) => {
      saved.push(said.vote_id);
      return { receipt: { saved: true } };
    },
  };
  const view = { refused: (kind, sentence) => told.push(`A ${kind} was not saved: ${sentence}`), counted: () => {}, delivery: () => {} };
  const stored = (voteId, choice, strength) => told.push([voteId, choice, strength]);
  return { delivery: new Delivery({ server, outbox, reasons, view, stored }), outbox, reasons, saved, told };
}

beforeEach(() => openBrowser());

test("votes go in one request, and a refused one is told", async () => {
  const { delivery, outbox, saved, told } = deliveryOf({ refused: "2" });
  await delivery.sendVotes(ask, () => false);
  assert.deepEqual([saved, outbox.size], [[["1", "2", "3"]], 0]);
  assert.deepEqual(told, ["A vote was not saved: others have it"]);
});

test("a vote that was stored before with another choice is told as it is stored", async () => {
  const { delivery, outbox, told } = deliveryOf({ known: "3" });
  await delivery.sendVotes(ask, () => false);
  assert.deepEqual([told, outbox.size], [[["3", "left", 2]], 0]);
});

test("a vote that the server does not understand holds up no other one", async () => {
  const { delivery, outbox, saved, told } = deliveryOf({ notUnderstood: "2" });
  await delivery.sendVotes(ask, () => false);
  assert.deepEqual([saved, outbox.size], [[["1"], ["3"]], 0]);
  assert.deepEqual(told, ["A vote was not saved: The request is invalid."]);
});

test("reasons wait until every vote is there", async () => {
  const { delivery, reasons, saved } = deliveryOf({});
  reasons.add({ vote_id: "1", reasons: ["tone"] });
  await delivery.sendReasons(ask);
  assert.deepEqual(saved, []);
  await delivery.sendVotes(ask, () => false);
  await delivery.sendReasons(ask);
  assert.deepEqual([saved.at(-1), reasons.size], ["1", 0]);
});
