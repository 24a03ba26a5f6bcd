// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { Undo } from "../../../../../labeler/web/static/rating/undo.js";
import { Refused, Unreachable } from "../../../../../labeler/web/static/shared/send.js";

const ask = (request) => request();
const UNDONE = { pair: null, reason: null, trained: null };

/** An undo, and a server that answers each request by the next of `answers`: a value or an error. */
function undoOf({ answers, votes = /** @type {any[]} */ ([]) }) {
  /** @type {any[]} */
  const sent = [];
  /** @type {any} */
  const server = {
    history: async (holder) => ({ votes: holder === "tab" ? votes : [] }),
    undo: async (body) => {
      sent.push({ ...body });
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  return { undo: new Undo({ holder: "tab", server }), sent };
}

test("an undo without an answer is sent again as the same one", async () => {
  const { undo, sent } = undoOf({ answers: [new Unreachable("lost"), new Refused("starting", 503), UNDONE] });
  undo.begin("vote");
  await assert.rejects(undo.send(ask), Unreachable);
  await assert.rejects(undo.send(ask), Refused);
  assert.equal(undo.isOpen, true);
  assert.equal(await undo.send(ask), UNDONE);
  assert.equal(undo.isOpen, false);
  assert.equal(new Set(sent.map((body) => body.undo_id)).size, 1);
  undo.begin("vote");
  await undo.send(ask);
  assert.notEqual(sent.at(-1).undo_id, sent[0].undo_id);
});

test("the last vote of the tab is asked for by name, and stays the one however often it is sent", async () => {
  const votes = [{ vote_id: "newest" }, { vote_id: "older" }];
  const { undo, sent } = undoOf({ answers: [new Unreachable("lost"), UNDONE], votes });
  undo.begin(null);
  await assert.rejects(undo.send(ask), Unreachable);
  votes.shift(); // it arrived
  await undo.send(ask);
  assert.deepEqual(sent.map((body) => body.vote_id), ["newest", "newest"]);
});

test("with no vote left nothing is sent that could take back a later one", async () => {
  const { undo, sent } = undoOf({ answers: [] });
  undo.begin(null);
  assert.match((await undo.send(ask))?.reason ?? "", /no vote left/);
  assert.deepEqual([sent, undo.isOpen], [[], false]);
});

test("an undo that is refused for good ends with what the server says", async () => {
  const { undo } = undoOf({ answers: [new Refused("No such vote.", 404)] });
  undo.begin("vote");
  assert.match((await undo.send(ask))?.reason ?? "", /refused: No such vote/);
  assert.equal(undo.isOpen, false);
});

test("an undo waits for the next login", async () => {
  const { undo } = undoOf({ answers: [new Refused("Log in again.", 401)] });
  undo.begin("vote");
  await assert.rejects(undo.send(ask), Refused);
  assert.equal(undo.isOpen, true);
});

test("an undo that no request has carried can be given up, and is then not sent", async () => {
  const { undo, sent } = undoOf({ answers: [UNDONE], votes: [{ vote_id: "newest" }] });
  undo.begin(null);
  const sending = undo.send(ask); // it asks first which vote is the last one
  assert.equal(undo.canEnd, true);
  undo.end();
  assert.deepEqual([await sending, sent, undo.isOpen], [null, [], false]);
  undo.begin("vote");
  assert.equal(await undo.send(ask), UNDONE);
});

test("an undo that may have arrived cannot be given up", async () => {
  const { undo, sent } = undoOf({ answers: [new Unreachable("lost"), UNDONE] });
  undo.begin("vote");
  await assert.rejects(undo.send(ask), Unreachable);
  undo.end();
  assert.deepEqual([undo.canEnd, undo.isOpen], [false, true]);
  await undo.send(ask);
  assert.equal(sent.length, 2);
});
