// @ts-check
// Votes that the server has not confirmed yet, in the order in which they were cast; and, in an
// outbox of their own, reasons for votes. They carry the id of their vote.
//
// They are written to localStorage before anything is sent, so they survive a reload, a closed tab
// and a dead server. Each has an id made here, so sending one again counts once. They belong to the
// person who cast them, and to the service: somebody else who logs in in this browser, or another
// service at the same address, leaves them where they are.

import { KEPT } from "../shared/base.js";
import { keep, kept, keys } from "../shared/kept.js";
import { byteLength } from "../shared/send.js";
import { isGone } from "./holder.js";

const VOTES = `${KEPT}.outbox.`;
export const REASONS = `${KEPT}.reasons.`;
const MAX_BYTES = 200_000; // of one request; edits are long

/** What waits: a vote, what comes back with it, whether it was sent, so that it may have arrived, and
 *  whether it is of another tab, so that an undo here does not mean it.
 *
 * @template Sent
 * @typedef {{ vote: Sent, pair: Pair | null, tried: boolean, isOthers: boolean }} Entry */

/** @typedef {import("./view.js").Pair} Pair */

/** @template {{ vote_id: string, lease_id?: string }} Sent  Votes, or reasons for votes. */
export class Outbox {
  /** @type {string} */
  #prefix;
  /** @type {string} Of outboxes that did not tell services apart. */
  #olderPrefix;
  #key;
  /** @type {Entry<Sent>[]} */
  #entries;

  /** `owner`: whose votes these are, and at which service.
   *
   * @param {string} holder
   * @param {string} owner */
  constructor(holder, owner, prefix = VOTES) {
    this.#prefix = `${prefix}${owner}.`;
    this.#olderPrefix = `${prefix}${owner.split(".").at(-1)}.`;
    this.#key = this.#prefix + holder;
    this.#entries = this.#left(this.#key);
    if (this.#olderPrefix !== this.#prefix) this.#takeOver(this.#olderPrefix + holder);
  }

  get size() {
    return this.#entries.length;
  }

  get leaseIds() {
    return this.#entries.flatMap(({ vote }) => vote.lease_id ?? []);
  }

  /** The vote that this tab cast last; null if it does not wait. */
  get newestId() {
    return this.#entries.findLast(({ isOthers }) => !isOthers)?.vote.vote_id ?? null;
  }

  /** @param {string} voteId */
  has(voteId) {
    return this.#entries.some(({ vote }) => vote.vote_id === voteId);
  }

  /** `pair`: what comes back if the vote is taken back before it is sent.
   *
   * @param {Sent} vote
   * @param {Pair | null} pair */
  add(vote, pair = null) {
    this.#entries.push({ vote, pair, tried: false, isOthers: false });
    this.#save();
  }

  /** The next votes to send; from now on they may have arrived.
   *
   * @param {number} most */
  take(most) {
    const next = this.#entries.slice(0, this.#fitting(most));
    for (const entry of next) entry.tried = true;
    return next.map(({ vote }) => vote);
  }

  /** @param {string[]} voteIds */
  remove(voteIds) {
    this.#entries = this.#entries.filter(({ vote }) => !voteIds.includes(vote.vote_id));
    this.#save();
  }

  /** Add to a vote that was never sent; false if there is none.
   *
   * @param {string} voteId
   * @param {Partial<Sent>} more */
  amend(voteId, more) {
    const entry = this.#entries.find(({ vote, tried }) => vote.vote_id === voteId && !tried);
    if (!entry) return false;
    entry.vote = { ...entry.vote, ...more };
    this.#save();
    return true;
  }

  /** Take back the last vote if it was never sent; returns { vote, pair }, or null. */
  withdraw() {
    const last = this.#entries.at(-1);
    if (!last || last.tried) return null;
    this.#entries.pop();
    this.#save();
    return last;
  }

  /** Take over what closed tabs could not deliver. Returns whether there was anything. */
  async adopt() {
    const before = this.size;
    for (const key of keys()) {
      const prefix = [this.#prefix, this.#olderPrefix].find((each) => key.startsWith(each));
      if (prefix === undefined || key === this.#key) continue;
      if (await isGone(key.slice(prefix.length))) this.#takeOver(key, true);
    }
    return this.size > before;
  }

  /**
   * @param {string} key
   * @param {boolean} ofOthers */
  #takeOver(key, ofOthers = false) {
    this.#entries.unshift(...this.#left(key, ofOthers).filter(({ vote }) => !this.has(vote.vote_id)));
    if (this.#save()) keep(key, null); // else a vote sent twice is better than one lost
  }

  /** What is kept under a key, and may have been sent.
   *
   * @param {string} key
   * @returns {Entry<Sent>[]} */
  #left(key, ofOthers = false) {
    return kept(key, []).map((/** @type {any} */ { isOthers = ofOthers, ...vote }) => ({ vote, pair: null, tried: true, isOthers }));
  }

  /** How many of the next ones go into one request: one at least.
   *
   * @param {number} most */
  #fitting(most) {
    let bytes = 0;
    let count = 0;
    for (const { vote } of this.#entries.slice(0, most)) {
      bytes += byteLength(JSON.stringify(vote));
      if (count && bytes > MAX_BYTES) break;
      count += 1;
    }
    return count;
  }

  /** Returns whether the storage has taken them. */
  #save() {
    const votes = this.#entries.map(({ vote, isOthers }) => (isOthers ? { ...vote, isOthers } : vote));
    const isKept = keep(this.#key, votes.length ? votes : null);
    if (votes.length && !isKept) console.warn("Votes are kept in memory only: the browser's storage is full or not available.");
    return isKept;
  }
}
