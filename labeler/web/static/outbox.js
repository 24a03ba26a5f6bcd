// Votes that the server has not confirmed yet, in the order in which they were cast.
//
// They are written to localStorage before anything is sent, so they survive a reload, a closed tab
// and a dead server. Each has an id made here, so sending one again counts once.

import { isGone } from "./holder.js";

const PREFIX = "livedpo.outbox.";

export class Outbox {
  #key;
  #entries; // { vote, tried }: a vote that was tried may have arrived

  constructor(holder) {
    this.#key = PREFIX + holder;
    this.#entries = read(this.#key).map((vote) => ({ vote, tried: true }));
  }

  get size() {
    return this.#entries.length;
  }

  get leaseIds() {
    return this.#entries.map(({ vote }) => vote.lease_id);
  }

  add(vote) {
    this.#entries.push({ vote, tried: false });
    this.#save();
  }

  /** The next votes to send; from now on they may have arrived. */
  take(most) {
    const next = this.#entries.slice(0, most);
    for (const entry of next) entry.tried = true;
    return next.map(({ vote }) => vote);
  }

  remove(voteIds) {
    this.#entries = this.#entries.filter(({ vote }) => !voteIds.includes(vote.vote_id));
    this.#save();
  }

  /** Take back the last vote if it was never sent; returns it, or null. */
  withdraw() {
    const last = this.#entries.at(-1);
    if (!last || last.tried) return null;
    this.#entries.pop();
    this.#save();
    return last.vote;
  }

  /** Take over what closed tabs could not deliver. */
  async adopt() {
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(PREFIX) || key === this.#key) continue;
      if (!(await isGone(key.slice(PREFIX.length)))) continue;
      const orphans = read(key).map((vote) => ({ vote, tried: true }));
      this.#entries.unshift(...orphans);
      this.#save();
      localStorage.removeItem(key);
    }
  }

  #save() {
    const votes = this.#entries.map(({ vote }) => vote);
    try {
      if (votes.length) localStorage.setItem(this.#key, JSON.stringify(votes));
      else localStorage.removeItem(this.#key);
    } catch (error) {
      console.warn("Votes are kept in memory only: the browser's storage is not available.", error);
    }
  }
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "[]");
  } catch {
    return [];
  }
}
