// @ts-check
// The pairs that this page holds: the one on screen, and those that wait behind it.

import { MAX_LEASES, MAX_PAIRS } from "../shared/bounds.js";

const ON_HAND = 3; // pairs held: one on screen, two behind it
const RENEW_MS = 60_000; // leases of a page in sight are prolonged this often

/** @typedef {import("./view.js").Pair} Pair */
/** @typedef {import("./pump.js").Ask} Ask */
/** @typedef {Pick<import("./server.js").State, "live" | "ready">} Live */

export class Buffer {
  #holder;
  #server;
  #prepare;
  /** @type {Pair | null} */
  #shown = null;
  /** @type {Pair[]} */
  #waiting = [];
  #renewedAt = -Infinity;

  /** `prepare`: makes what is shown of a leased pair.
   *
   * @param {object} parts
   * @param {string} parts.holder
   * @param {Pick<import("./server.js").Server, "pairs">} parts.server
   * @param {(pair: import("./server.js").LeasedPair) => Pair} parts.prepare */
  constructor({ holder, server, prepare }) {
    this.#holder = holder;
    this.#server = server;
    this.#prepare = prepare;
  }

  /** The pair on screen, or null. */
  get shown() {
    return this.#shown;
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

  /** Waiting pairs of a version that is no longer live, as many as can be replaced now. Those that
   *  the rater has seen or asked for stay.
   *
   * @param {Live} state */
  outdated({ live, ready }) {
    const old = this.#waiting.filter((pair) => !pair.seen && !pair.own && pair.version !== live);
    return old.slice(0, Math.min(ready, MAX_LEASES));
  }

  /** Ask for what is missing, give back what is outdated, and prolong the rest, unless there is
   *  nothing to ask for. `unsent`: leases of votes that the server has not confirmed.
   *
   * @param {Ask} ask
   * @param {Live | null} state
   * @param {() => string[]} unsent */
  async refill(ask, state, unsent) {
    const stale = state ? this.outdated(state) : [];
    if (!this.isShort && !stale.length && !this.isDue(performance.now())) return;
    this.#drop(stale);
    const { pairs } = await ask(() => this.#server.pairs(this.#wants(stale, unsent))).catch((error) => {
      this.#waiting.push(...stale); // better old ones than none
      throw error;
    });
    this.#renewedAt = performance.now();
    const held = [...unsent(), ...this.leaseIds];
    const fresh = pairs.filter((pair) => !held.includes(pair.lease_id));
    this.#waiting.push(...fresh.map((pair) => this.#prepare(pair)));
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
    };
  }

  /** @param {Pair[]} pairs */
  #drop(pairs) {
    this.#waiting = this.#waiting.filter((pair) => !pairs.includes(pair));
  }

  get #pairs() {
    return this.#shown ? [this.#shown, ...this.#waiting] : this.#waiting;
  }
}
