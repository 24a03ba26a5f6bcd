// @ts-check
// Random runs of the rating path: raters vote, undo, explain, reload and close tabs over a network
// that loses, delays, doubles and reorders. RUNS says how many, SEED which one comes first.

import assert from "node:assert/strict";
import test from "node:test";

import { openBrowser } from "../../../../support/front/browser.js";
import { Clock } from "../../../../support/front/clock.js";
import { Network } from "../../../../support/front/network.js";
import { Random } from "../../../../support/front/random.js";
import { Service } from "../../../../support/front/service.js";
import { openTab } from "../../../../support/front/tab.js";

const RUNS = Number(process.env.RUNS ?? 2_000);
const SEED = Number(process.env.SEED ?? 1);
const MAX_STEPS = 24;
const CALM_MS = 40_000; // by then everything has been tried again, and the last late copy is there

/** One rater with one tab at a time, and what they remember of it. */
class Run {
  #clock = new Clock().install();
  #random;
  #service = new Service();
  #network;
  #tab;
  #tabs = 0;
  #cast = []; // { id, state } in the order in which they were cast; state: stands, withdrawn, undone, unsure
  #explained = new Map(); // vote -> reasons
  #told = [];

  constructor(seed) {
    this.#random = new Random(seed);
    this.#network = new Network({ clock: this.#clock, service: this.#service, random: this.#random });
  }

  async play() {
    openBrowser();
    await this.#open("tab 0");
    const steps = 4 + this.#random.below(MAX_STEPS);
    for (let step = 0; step < steps; step++) await this.#step();
    this.#network.isFaulty = false;
    await this.#wait(CALM_MS);
    this.#check();
  }

  async #step() {
    const acts = [() => this.#vote(), () => this.#vote(), () => this.#vote(), () => this.#undo(), () => this.#explain()];
    acts.push(() => this.#wait(this.#random.below(30_000)), () => this.#takeAway());
    if (this.#random.hits(0.1)) acts.push(() => this.#reopen(this.#tab.holder), () => this.#reopen(`tab ${++this.#tabs}`));
    await this.#random.pick(acts)();
    await this.#wait(this.#random.pick([0, 1, 100, 1_000]));
  }

  /** A person presses the key; the page may have no pair for it. */
  #vote() {
    const before = this.#tab.rating.last;
    this.#tab.rating.vote(this.#random.pick(["left", "right", "tie"]), 1, this.#clock.now);
    const { last } = this.#tab.rating;
    if (last && last !== before) this.#cast.push({ id: last.vote_id, holder: this.#tab.holder, state: "stands" });
  }

  #undo() {
    if (this.#tab.screen.isUndoing) return;
    const before = this.#tab.screen.counted_votes;
    const vote = this.#lastVote();
    this.#tab.rating.undo();
    const isWithdrawn = this.#tab.screen.counted_votes < before;
    if (vote) vote.state = isWithdrawn ? "withdrawn" : "undone";
  }

  /** The vote that an undo is for: the last one that waits, else the last one of this tab. */
  #lastVote() {
    const waiting = this.#tab.outbox.newestId;
    const told = [...this.#told, ...this.#tab.screen.told].join();
    return this.#cast.findLast(({ id, holder, state }) => {
      if (waiting !== null) return id === waiting;
      return holder === this.#tab.holder && state === "stands" && !told.includes(id);
    });
  }

  #explain() {
    const { last } = this.#tab.rating;
    if (!last) return;
    const reasons = [`because of ${last.vote_id}`];
    this.#explained.set(last.vote_id, reasons);
    this.#tab.rating.explain(last.vote_id, { reasons, comment: null });
  }

  /** Somebody else gets the pair on screen, so that a vote on it comes too late. */
  #takeAway() {
    const { shown } = this.#tab.rating;
    if (shown && this.#random.hits(0.3)) this.#service.takeAway(shown.leaseId);
  }

  /** The page is gone from one moment to the next. An undo that was under way may have arrived, so
   *  which votes are undone, then and by the next undo, cannot be said. */
  async #reopen(holder) {
    const known = this.#cast.filter(({ state }) => state !== "withdrawn");
    if (this.#tab.screen.isUndoing) for (const vote of known) vote.state = "unsure";
    this.#told.push(...this.#tab.screen.told);
    this.#tab.shut();
    await this.#open(holder);
  }

  async #open(holder) {
    this.#tab = await openTab(this.#network, holder);
  }

  /** Time goes by, with the page's own clock ticking. */
  async #wait(ms) {
    const end = this.#clock.now + ms;
    while (this.#clock.now < end) {
      await this.#clock.advance(Math.min(5_000, end - this.#clock.now));
      this.#tab.rating.tick(this.#clock.now);
    }
    await this.#clock.advance(0);
  }

  #check() {
    const told = [...this.#told, ...this.#tab.screen.told].join("\n");
    assert.equal(this.#tab.outbox.size, 0, "a vote still waits");
    assert.equal(this.#tab.reasons.size, 0, "a reason still waits");
    assert.deepEqual(Object.keys(localStorage), [], "something is left in the storage");
    assert.equal(this.#tab.screen.isUndoing, false, "an undo still waits");
    const saved = new Map(this.#service.votes.map((vote) => [vote.vote_id, vote]));
    assert.equal(saved.size, this.#service.votes.length, "a vote is doubled");
    for (const { id, state } of this.#cast) {
      const vote = saved.get(id);
      const isRefused = told.includes(id);
      assert.equal(Boolean(vote), state !== "withdrawn" && !isRefused, `a vote is lost, or saved after all (${state})`);
      if (vote && state !== "unsure") assert.equal(vote.undoneBy !== null, state === "undone", `a vote that ${state}`);
    }
    const order = this.#cast.filter(({ id }) => saved.has(id)).map(({ id }) => id);
    assert.deepEqual(this.#service.votes.map(({ vote_id: id }) => id), order, "votes are out of order");
    this.#checkReasons(saved, told);
  }

  #checkReasons(saved, told) {
    for (const [id, reasons] of this.#explained) {
      const vote = saved.get(id);
      if (!vote || vote.undoneBy) continue;
      assert.deepEqual(vote.reasons, reasons, `reasons are lost: ${told}`);
    }
  }
}

test(`in ${RUNS} random runs no vote is lost, doubled or out of order`, async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    await new Run(seed).play().catch((error) => {
      throw new Error(`SEED=${seed}`, { cause: error });
    });
    const done = seed + 1 - SEED;
    if (done % 10_000 === 0) console.log(`${done} of ${RUNS} runs`);
  }
});
