// @ts-check
// The pairs that this page holds: the one on screen, and those that wait behind it. ON_HAND are needed
// at any time; what the rater gets through in an outage is put by, where there are plenty.

import { MAX_LEASES, MAX_PAIRS, MAX_SPARE, ON_HAND } from "../shared/bounds.js";

const OUTAGE_SECONDS = 300;
const MAX_AT_ONCE = 8; // to put by, of an answer: the page is busy while it takes them in
const RENEW_MS = 60_000; // leases of a page in sight are prolonged this often

/** @typedef {import("./view.js").Pair} Pair */
/** @typedef {import("./pump.js").Ask} Ask */
/** @typedef {import("./server.js").State} State */
/** @typedef {Pick<State, "live" | "ready" | "counting">} Live */

export class Buffer {
  #holder;
  #server;
  #prepare;
  #pace;
  /** @type {Pair | null} */
  #shown = null;
  /** @type {Pair[]} */
  #waiting = [];
  #renewedAt = -Infinity;

  /** `prepare`: makes what is shown of a leased pair. `pace`: how fast this rater votes.
   *
   * @param {object} parts
   * @param {string} parts.holder
   * @param {Pick<import("./server.js").Server, "pairs">} parts.server
   * @param {(pair: import("./server.js").LeasedPair) => Pair} parts.prepare
   * @param {Pick<import("./pace.js").Pace, "pairs">} parts.pace */
  constructor({ holder, server, prepare, pace }) {
    this.#holder = holder;
    this.#server = server;
    this.#prepare = prepare;
    this.#pace = pace;
  }

  /** The pair on screen, or null. */
  get shown() {
    return this.#shown;
  }

  /** How many pairs wait. */
  get behind() {
    return this.#waiting.length;
  }

  /** Whether more pairs are needed. */
  get isShort() {
    return this.#pairs.length < ON_HAND;
  }

  /** Whether the leases are to be prolonged at this time, in ms.
   *
   * @param {number} now */
  isDue(now) {
    return now - this.#renewedAt > RENEW_MS;
  }

  /** The leases of all pairs, the one on screen first. */
  get leaseIds() {
    return this.#pairs.map((pair) => pair.leaseId);
  }

  /** A pair that waits, or null.
   *
   * @param {string} leaseId */
  find(leaseId) {
    return this.#waiting.find((pair) => pair.leaseId === leaseId) ?? null;
  }

  /** Let a pair come next, whether it waits by now or not.
   *
   * @param {Pair} pair */
  putFirst(pair) {
    this.#drop([pair]);
    this.#waiting.unshift(pair);
  }

  /** The pair that waits longest is on screen from now on; null if none waits. */
  next() {
    this.#shown = this.#waiting.shift() ?? null;
    return this.#shown;
  }

  /** This pair is on screen from now on; the one that was there comes after it.
   *
   * @param {Pair} pair */
  interrupt(pair) {
    this.#drop([pair]);
    if (this.#shown) this.#waiting.unshift(this.#shown);
    this.#shown = pair;
  }

  /** Waiting pairs to give back: those on which a vote would not count any more, or else the oldest
   *  ones, in exchange for pairs of the live version that are ready, until enough wait behind the one
   *  on screen. Those that the rater has seen or asked for stay.
   *
   * @param {Live} state */
  outdated({ live, ready, counting }) {
    const old = this.#waiting.filter((pair) => !isBound(pair) && pair.version !== live);
    const tooOld = old.filter((pair) => !counting.includes(pair.version));
    if (tooOld.length) return tooOld;
    const missing = ON_HAND - 1 - (this.#waiting.length - old.length);
    const count = Math.max(0, Math.min(ready, missing, old.length));
    return old.slice(old.length - count);
  }

  /** Ask for what is missing, give back what is outdated, and prolong the rest, unless there is
   *  nothing to ask for. `unsent`: leases of votes that the server has not confirmed.
   *
   * @param {Ask} ask
   * @param {Live | null} state
   * @param {() => string[]} unsent */
  async refill(ask, state, unsent) {
    const stale = state ? this.outdated(state) : [];
    const isComplete = this.#pairs.length >= ON_HAND + this.#spare;
    if (isComplete && !stale.length && !this.isDue(performance.now())) return;
    this.#drop(stale);
    const { pairs, state: now } = await ask(() => this.#server.pairs(this.#wants(stale, unsent))).catch((error) => {
      this.#waiting.push(...stale); // better old ones than none
      throw error;
    });
    this.#renewedAt = performance.now();
    const held = [...unsent(), ...this.leaseIds];
    const fresh = pairs.filter((pair) => !held.includes(pair.lease_id));
    this.#waiting.push(...fresh.map((pair) => this.#prepare(pair)));
    this.#waiting.sort((one, other) => rank(other, now.live) - rank(one, now.live));
  }

  /**
   * @param {Pair[]} stale
   * @param {() => string[]} unsent */
  #wants(stale, unsent) {
    const held = [...unsent(), ...this.leaseIds];
    return {
      holder: this.#holder,
      shown: held.slice(-MAX_LEASES), // the one on screen and those behind it are the last
      give_back: stale.map((pair) => pair.leaseId),
      wanted: Math.min(ON_HAND + unsent().length, MAX_PAIRS),
      spare: Math.min(this.#spare, Math.max(0, this.#pairs.length - ON_HAND) + MAX_AT_ONCE),
    };
  }

  /** How many pairs more than needed this page would like to hold. */
  get #spare() {
    return Math.max(0, Math.min(this.#pace.pairs(OUTAGE_SECONDS) - ON_HAND, MAX_SPARE));
  }

  /** @param {Pair[]} pairs */
  #drop(pairs) {
    this.#waiting = this.#waiting.filter((pair) => !pairs.includes(pair));
  }

  get #pairs() {
    return this.#shown ? [this.#shown, ...this.#waiting] : this.#waiting;
  }
}

/** Whether the rater has seen a pair or asked for it: then it stays, and where it is.
 *
 * @param {Pair} pair */
function isBound(pair) {
  return pair.seen || pair.own;
}

/** What comes first: bound pairs, then those of the live version, then the newest.
 *
 * @param {Pair} pair
 * @param {State["live"]} live */
function rank(pair, live) {
  if (isBound(pair)) return Number.MAX_SAFE_INTEGER;
  return pair.version === live ? Number.MAX_SAFE_INTEGER - 1 : pair.version;
}
