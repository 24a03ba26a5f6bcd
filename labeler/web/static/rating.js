// The rating path: pairs in memory, votes out, undo.
//
// A vote swaps the pair on screen at once and goes into the outbox; everything that talks to the
// server runs in one loop (`#work`), one request at a time: deliver votes, undo, refill. So votes
// arrive in order, and an undo comes after the vote that it takes back.

import { newId } from "./dom.js";
import { Refused, Unreachable } from "./server.js";

const ON_HAND = 3; // pairs held: one on screen, two behind it
const MOST_WANTED = 8; // the server's bound, as is the next
const MOST_VOTES = 50;
const RENEW_MS = 60_000; // leases of a page in sight are prolonged this often
const STATE_MS = 1_000;
const LONGEST_SECONDS = 24 * 3600;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 4_000;
const NOT_UNDERSTOOD = 422;

export class Rating {
  #holder;
  #server;
  #outbox;
  #view;
  #shown = null;
  #buffer = [];
  #voted = []; // pairs of votes that may still be in the outbox, newest last
  #state = null;
  #sent = 0; // requests are numbered, so that a late answer does not bring back an older state
  #stateNumber = 0;
  #lost = false;
  #wantsState = false;
  #stateAt = -Infinity;
  #renewedAt = -Infinity;
  #asked = false;
  #working = false;
  #undoId = null;
  #batch = MOST_VOTES;
  #retryTimer = null;
  #retryMs = FIRST_RETRY_MS;

  constructor({ holder, server, outbox, view }) {
    this.#holder = holder;
    this.#server = server;
    this.#outbox = outbox;
    this.#view = view;
  }

  /** Take the shown pair's vote and show the next pair. `at`: when the rater acted, in ms. */
  vote(choice, strength, at) {
    const pair = this.#shown;
    if (!pair || this.#undoId) return;
    const seconds = Math.min(pair.watch.seconds(), LONGEST_SECONDS);
    const vote = { vote_id: newId(), lease_id: pair.leaseId, choice, strength, seconds };
    this.#outbox.add(vote);
    this.#voted = [...this.#voted.slice(-MOST_VOTES), pair];
    this.#showNext();
    this.#view.took(choice, strength, at);
    this.#view.counted(+1);
    this.#report();
    this.sync();
  }

  /** Take back the last vote: here if it was never sent, else on the server. */
  undo() {
    if (this.#undoId) return;
    const withdrawn = this.#outbox.withdraw();
    if (withdrawn) {
      this.#bringBack(this.#voted.at(-1));
      this.#report();
      return;
    }
    this.#undoId = newId();
    this.#view.undoing(true);
    this.sync();
  }

  /** Called twice a second while the page is in sight. */
  tick(now) {
    if (this.#working || this.#retryTimer) return;
    if (!this.#shown || now - this.#renewedAt > RENEW_MS) this.sync();
    else if (now - this.#stateAt > STATE_MS) this.#look(now);
  }

  /** Look at the state now: the rater came back to this page, or the network did. */
  refresh() {
    this.#wantsState = true;
    this.sync();
  }

  /** Talk to the server until there is nothing to say. */
  sync() {
    this.#asked = true;
    if (!this.#working) this.#work();
  }

  async #work() {
    this.#working = true;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    try {
      while (this.#asked) {
        this.#asked = false;
        await this.#deliver();
        await this.#undoOnServer();
        await this.#refill();
        if (this.#lost || this.#wantsState) await this.#ask(() => this.#server.state());
        this.#wantsState = false;
      }
    } catch (error) {
      this.#disconnected(error);
    } finally {
      this.#working = false;
    }
  }

  async #deliver() {
    while (this.#outbox.size) {
      const votes = this.#outbox.take(this.#batch);
      const ids = votes.map((vote) => vote.vote_id);
      try {
        const { receipts } = await this.#ask(() => this.#server.votes(votes));
        this.#outbox.remove(ids);
        this.#batch = MOST_VOTES;
        for (const receipt of receipts) if (!receipt.saved) this.#refused(receipt.reason);
      } catch (error) {
        if (error.status !== NOT_UNDERSTOOD) throw error;
        this.#dropNotUnderstood(ids, error.message);
      }
      this.#report();
      if (this.#isShort()) break; // pairs are needed first; the loop comes back for the rest
    }
    if (this.#outbox.size) this.#asked = true;
  }

  /** One bad vote must not hold up the others: send them one by one, and drop the bad one. */
  #dropNotUnderstood(ids, sentence) {
    this.#batch = 1;
    if (ids.length > 1) return;
    this.#outbox.remove(ids);
    this.#refused(sentence);
  }

  #refused(sentence) {
    this.#view.counted(-1);
    this.#view.complain(`A vote was not taken: ${sentence}`);
  }

  async #undoOnServer() {
    if (!this.#undoId) return;
    if (this.#outbox.size) {
      this.#asked = true;
      return;
    }
    const body = { undo_id: this.#undoId, holder: this.#holder };
    const { pair } = await this.#ask(() => this.#server.undo(body));
    this.#undoId = null;
    this.#view.undoing(false);
    if (pair) this.#bringBack(this.#view.prepare(pair));
    else this.#view.complain("There is no vote of this tab left to undo.");
  }

  async #refill() {
    const stale = this.#outdated();
    const renew = performance.now() - this.#renewedAt > RENEW_MS;
    if (!this.#isShort() && !stale.length && !renew) return;
    const given = new Set(stale.map((pair) => pair.leaseId));
    const shown = this.#held().filter((leaseId) => !given.has(leaseId));
    const wanted = Math.min(ON_HAND + this.#outbox.size, MOST_WANTED);
    const body = { holder: this.#holder, shown, give_back: [...given], wanted };
    const { pairs } = await this.#ask(() => this.#server.pairs(body));
    this.#renewedAt = performance.now();
    this.#buffer = this.#buffer.filter((pair) => !given.has(pair.leaseId));
    const known = new Set(this.#held());
    const fresh = pairs.filter((pair) => !known.has(pair.lease_id));
    this.#buffer.push(...fresh.map((pair) => this.#view.prepare(pair)));
    if (!this.#shown) this.#showNext();
  }

  /** Prefetched pairs of a version that is no longer live, as many as can be replaced now. */
  #outdated() {
    if (!this.#state) return [];
    const { live, ready } = this.#state;
    return this.#buffer.filter((pair) => !pair.seen && pair.version !== live).slice(0, ready);
  }

  #isShort() {
    return this.#buffer.length + (this.#shown ? 1 : 0) < ON_HAND;
  }

  /** Every lease that this page has a use for. */
  #held() {
    const pairs = this.#shown ? [this.#shown, ...this.#buffer] : this.#buffer;
    return [...this.#outbox.leaseIds, ...pairs.map((pair) => pair.leaseId)];
  }

  #showNext() {
    this.#show(this.#buffer.shift() ?? null);
  }

  /** An undone pair comes on screen again; the one that was there waits in front of the others. */
  #bringBack(pair) {
    this.#voted.pop();
    this.#view.counted(-1);
    if (this.#shown) this.#buffer.unshift(this.#shown);
    this.#show(pair);
  }

  #show(pair) {
    this.#shown?.watch.stop();
    this.#shown = pair;
    if (pair) {
      pair.seen = true;
      pair.watch.start();
    }
    this.#view.show(pair);
  }

  async #look(now) {
    this.#stateAt = now;
    try {
      await this.#ask(() => this.#server.state());
      if (this.#outdated().length) this.sync();
    } catch (error) {
      this.#disconnected(error);
    }
  }

  /** One request. Its answer proves the connection and tells the state of the loop. */
  async #ask(request) {
    const number = ++this.#sent;
    const answer = await request();
    this.#connected();
    if (number > this.#stateNumber) this.#see(answer.state ?? answer, number);
    return answer;
  }

  #see(state, number) {
    this.#stateNumber = number;
    this.#stateAt = performance.now();
    this.#state = state;
    this.#view.see(state);
  }

  #connected() {
    this.#lost = false;
    this.#retryMs = FIRST_RETRY_MS;
    this.#view.connected();
  }

  #disconnected(error) {
    const isExpected = error instanceof Refused || error instanceof Unreachable;
    if (!isExpected) console.error(error);
    this.#lost = true;
    if (this.#undoId) this.#giveUpUndo();
    this.#view.disconnected(error instanceof Refused ? error.message : null);
    this.#report();
    this.#retryTimer ??= setTimeout(() => this.sync(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 1.6, LONGEST_RETRY_MS);
  }

  /** Whether it arrived or not: if it did, its pair comes back with the next refill. */
  #giveUpUndo() {
    this.#undoId = null;
    this.#view.undoing(false);
    this.#view.complain("The undo did not get through; try again when the connection is back.");
  }

  #report() {
    this.#view.delivery(this.#outbox.size);
  }
}
