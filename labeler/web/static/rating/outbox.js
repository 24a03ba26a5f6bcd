// @ts-check
// Votes that the server has not confirmed yet, in the order in which they were cast; and, in an
// outbox of their own, reasons for votes. They carry the id of their vote.
//
// They are written to localStorage before anything is sent, so they survive a reload, a closed tab
// and a dead server. Each has an id made here, so sending one again counts once. They belong to the
// person who cast them: somebody else who logs in in this browser leaves them where they are.

import { KEPT } from "../shared/base.js";
import { byteLength } from "../shared/send.js";
import { isGone } from "./holder.js";

const VOTES = `${KEPT}.outbox.`;
export const REASONS = `${KEPT}.reasons.`;
const MAX_BYTES = 200_000; // of one request; edits are long

/** What waits: a vote, what comes back with it, and whether it was sent, so that it may have arrived.
 *
 * @template Sent
 * @typedef {{ vote: Sent, pair: Pair | null, tried: boolean }} Entry */

/** @typedef {import("./view.js").Pair} Pair */

/** @template {{ vote_id: string, lease_id?: string }} Sent  Votes, or reasons for votes. */
export class Outbox {
  #prefix;
  #key;
  /** @type {Entry<Sent>[]} */
  #entries;

  /** `raterId`: whose votes these are.
   *
   * @param {string} holder
   * @param {number} raterId */
  constructor(holder, raterId, prefix = VOTES) {
    this.#prefix = `${prefix}${raterId}.`;
    this.#key = this.#prefix + holder;
    this.#entries = read(this.#key).map((vote) => ({ vote, pair: null, tried: true }));
  }

  get size() {
    return this.#entries.length;
  }

  get leaseIds() {
    return this.#entries.flatMap(({ vote }) => vote.lease_id ?? []);
  }

  /** The vote that was cast last; null if none waits. */
  get newestId() {
    return this.#entries.at(-1)?.vote.vote_id ?? null;
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
    this.#entries.push({ vote, pair, tried: false });
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

  /** Take over what closed tabs could not deliver. */
  async adopt() {
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(this.#prefix) || key === this.#key) continue;
      if (!(await isGone(key.slice(this.#prefix.length)))) continue;
      const orphans = read(key).map((vote) => ({ vote, pair: null, tried: true }));
      this.#entries.unshift(...orphans);
      if (this.#save()) localStorage.removeItem(key); // else a vote sent twice is better than one lost
    }
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
    const votes = this.#entries.map(({ vote }) => vote);
    try {
      if (votes.length) localStorage.setItem(this.#key, JSON.stringify(votes));
      else localStorage.removeItem(this.#key);
      return true;
    } catch (error) {
      console.warn("Votes are kept in memory only: the browser's storage is not available.", error);
      return false;
    }
  }
}

/**
 * @param {string} key
 * @returns {any[]} */
function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "[]");
  } catch {
    return [];
  }
}
