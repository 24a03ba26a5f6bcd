// The rating path: pairs in memory, votes out, undo.
//
// A vote swaps the pair on screen at once and goes into the outbox; everything that talks to the
// server runs in one loop (`#work`), one request at a time: deliver votes, undo, refill. So votes
// arrive in order, and an undo comes after the vote that it takes back.

import { MAX_LEASES, MAX_PAIRS, MAX_SECONDS, MAX_VOTES } from "../shared/bounds.js";
import { newId } from "../shared/dom.js";
import { Refused, Unreachable } from "../shared/send.js";
import { keepDraft } from "./edit.js";
import { Seen } from "./seen.js";

const ON_HAND = 3; // pairs held: one on screen, two behind it
const RENEW_MS = 60_000; // leases of a page in sight are prolonged this often
const STATE_MS = 1_000;
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 4_000;
const NOT_UNDERSTOOD = 422;
const LOGGED_OUT = 401;
const SERVER_ERROR = 500;

export class Rating {
  #holder;
  #server;
  #outbox;
  #reasons;
  #view;
  #last = null; // the last vote: { vote_id, choice, strength, prompt }
  #shown = null;
  #seen = new Seen();
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
  #undoVote = null; // whose vote is to be undone; null: the last one of this page
  #batch = MAX_VOTES;
  #retryTimer = null;
  #retryMs = FIRST_RETRY_MS;
  #listener = null; // is told of votes, undone ones, pairs that come on screen, and states

  constructor({ holder, server, outbox, reasons, view }) {
    this.#holder = holder;
    this.#server = server;
    this.#outbox = outbox;
    this.#reasons = reasons;
    this.#view = view;
  }

  /** The pair on screen, or null. */
  get shown() {
    return this.#undoId ? null : this.#shown;
  }

  /** The vote that reasons would be for now, or null. */
  get last() {
    return this.#last;
  }

  /** How many votes the server has not confirmed. */
  get waiting() {
    return this.#outbox.size;
  }

  /** There is one listener: the rater's own prompts. */
  subscribe(listener) {
    this.#listener = listener;
  }

  /** Whether a vote has not been delivered yet. */
  isUnsent(voteId) {
    return this.#outbox.has(voteId);
  }

  /** A pair that this rater asked for comes next, or at once if nothing is on screen.
   *  False if it does not wait: it is on screen, or has its vote. */
  take(leased) {
    const { lease_id: leaseId } = leased;
    const known = this.#buffer.find((pair) => pair.leaseId === leaseId);
    if (!known && this.#held().includes(leaseId)) return false;
    const pair = known ?? this.#view.prepare(leased);
    pair.own = true; // it is kept whatever version goes live, and let nobody think it is outdated
    this.#buffer = [pair, ...this.#buffer.filter((other) => other !== known)];
    if (!this.#shown) this.#showNext();
    return this.#shown !== pair;
  }

  /** Show a pair that waits now; the one on screen comes after it. */
  bring(leaseId) {
    const pair = this.#buffer.find((other) => other.leaseId === leaseId);
    if (!pair || this.#undoId) return;
    this.#buffer = this.#buffer.filter((other) => other !== pair);
    if (this.#shown) this.#buffer.unshift(this.#shown);
    this.#show(pair);
  }

  /** A key or a button, `by`, voted `at` this time, in ms. It counts if the pair can have been seen. */
  press(choice, strength, by, at) {
    if (!this.shown) return;
    if (this.#seen.takes(by, at)) this.vote(choice, strength, at, null, by);
    else this.#view.swallowed(choice, strength);
  }

  /** Take the shown pair's vote and show the next pair. `at`: when the rater acted, in ms.
   *  `edit`: the text that the rater made of the chosen reply. `by`: the key or button. */
  vote(choice, strength, at, edit = null, by = null) {
    const pair = this.#shown;
    if (!pair || this.#undoId) return;
    const seconds = Math.min(pair.watch.seconds(), MAX_SECONDS);
    const vote = { vote_id: newId(), lease_id: pair.leaseId, choice, strength, seconds };
    if (edit !== null) vote.edit = edit;
    this.#outbox.add(vote);
    this.#listener?.voted(vote, pair);
    this.#last = { vote_id: vote.vote_id, choice, strength, prompt: pair.line };
    this.#voted = [...this.#voted.slice(-MAX_VOTES), pair];
    this.#showNext(by);
    this.#view.took(choice, strength, at, edit !== null);
    this.#view.counted(+1);
    this.#report();
    this.sync();
  }

  /** Add reasons and a comment to a vote of this rater. */
  explain(voteId, said) {
    if (this.#last?.vote_id === voteId) this.#last = null; // they can be given once
    if (!this.#outbox.amend(voteId, said)) this.#reasons.add({ vote_id: voteId, ...said });
    this.#view.explained();
    this.sync();
  }

  /** Take back a vote, the last one of this page if none is named: here if it was never sent, else
   *  on the server. */
  undo(voteId = null) {
    if (this.#undoId) return;
    const withdrawn = voteId === null ? this.#outbox.withdraw() : null;
    if (withdrawn) {
      this.#bringBack(this.#voted.pop());
      if (withdrawn.edit) this.#keepEdit(withdrawn.choice, withdrawn.edit);
      this.#report();
      return;
    }
    this.#undoVote = voteId;
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
        await this.#explainToServer();
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
        this.#batch = MAX_VOTES;
        for (const receipt of receipts) if (!receipt.saved) this.#notSaved(receipt);
      } catch (error) {
        if (error.status !== NOT_UNDERSTOOD) throw error;
        this.#dropNotUnderstood(ids, error.message);
      }
      this.#report();
      if (this.#isShort()) break; // pairs are needed first; the loop comes back for the rest
    }
    if (this.#outbox.size) this.#asked = true;
  }

  /** Reasons go after their votes, which are there by then. */
  async #explainToServer() {
    while (this.#reasons.size && !this.#outbox.size) {
      const [said] = this.#reasons.take(1);
      try {
        const { receipt } = await this.#ask(() => this.#server.reasons(said));
        if (!receipt.saved) this.#view.complain(`A reason was not saved: ${receipt.reason}.`);
      } catch (error) {
        if (error.status !== NOT_UNDERSTOOD) throw error;
        this.#view.complain(`A reason was not saved: ${error.message}`);
      }
      this.#reasons.remove([said.vote_id]);
    }
  }

  /** One bad vote must not hold up the others: send them one by one, and drop the bad one. */
  #dropNotUnderstood(ids, sentence) {
    this.#batch = 1;
    if (ids.length > 1) return;
    this.#outbox.remove(ids);
    this.#refused(sentence);
  }

  /** A vote that was stored before with another choice counts as it is stored; others are refused. */
  #notSaved({ vote_id: voteId, reason, choice, strength }) {
    if (!choice) return this.#refused(reason);
    const isLast = this.#last?.vote_id === voteId;
    if (isLast) this.#last = { ...this.#last, choice, strength };
    this.#view.stored(choice, strength, isLast);
  }

  #refused(sentence) {
    this.#view.counted(-1);
    this.#view.complain(`A vote was not saved: ${sentence}`);
  }

  async #undoOnServer() {
    if (!this.#undoId) return;
    if (this.#outbox.size) {
      this.#asked = true;
      return;
    }
    const body = { undo_id: this.#undoId, holder: this.#holder, vote_id: this.#undoVote };
    // Without an answer the same undo is sent again: it may have arrived, and a new one would take
    // back one vote more.
    const answer = await this.#ask(() => this.#server.undo(body)).catch((error) => {
      if (!isFinal(error)) throw error;
      return { reason: `The undo was refused: ${error.message}` };
    });
    const { pair, reason, choice, edit, trained } = answer;
    this.#undoId = null;
    this.#view.undoing(false);
    if (pair) {
      if (this.#undoVote === null) this.#voted.pop();
      this.#bringBack(this.#view.prepare(pair));
      if (edit) this.#keepEdit(choice, edit);
    }
    if (reason) this.#view.complain(reason);
    else if (trained !== null) {
      this.#view.complain(`Your vote is undone. Version ${trained} has been trained since; later versions will not learn from it.`);
    }
  }

  /** An edit that came with a vote waits for its pair to be edited again. */
  #keepEdit(side, text) {
    keepDraft({ leaseId: this.#shown.leaseId, side, text });
  }

  async #refill() {
    const stale = this.#outdated();
    const renew = performance.now() - this.#renewedAt > RENEW_MS;
    if (!this.#isShort() && !stale.length && !renew) return;
    const given = new Set(stale.map((pair) => pair.leaseId));
    const shown = this.#held().filter((leaseId) => !given.has(leaseId));
    const wanted = Math.min(ON_HAND + this.#outbox.size, MAX_PAIRS);
    const named = shown.slice(-MAX_LEASES); // the one on screen and those behind it are the last
    const body = { holder: this.#holder, shown: named, give_back: [...given], wanted };
    this.#buffer = this.#buffer.filter((pair) => !given.has(pair.leaseId));
    const { pairs } = await this.#ask(() => this.#server.pairs(body)).catch((error) => {
      this.#buffer.push(...stale); // better old ones than none
      throw error;
    });
    this.#renewedAt = performance.now();
    const known = new Set(this.#held());
    const fresh = pairs.filter((pair) => !known.has(pair.lease_id));
    this.#buffer.push(...fresh.map((pair) => this.#view.prepare(pair)));
    if (!this.#shown) this.#showNext();
  }

  /** Prefetched pairs of a version that is no longer live, as many as can be replaced now. */
  #outdated() {
    if (!this.#state) return [];
    const { live, ready } = this.#state;
    const most = Math.min(ready, MAX_LEASES);
    return this.#buffer.filter((pair) => !pair.seen && !pair.own && pair.version !== live).slice(0, most);
  }

  #isShort() {
    return this.#buffer.length + (this.#shown ? 1 : 0) < ON_HAND;
  }

  /** Every lease that this page has a use for. */
  #held() {
    const pairs = this.#shown ? [this.#shown, ...this.#buffer] : this.#buffer;
    return [...this.#outbox.leaseIds, ...pairs.map((pair) => pair.leaseId)];
  }

  #showNext(by = null) {
    this.#show(this.#buffer.shift() ?? null, by);
  }

  /** An undone pair comes on screen again; the one that was there waits in front of the others. */
  #bringBack(pair) {
    this.#last = null;
    this.#listener?.undone();
    this.#view.counted(-1);
    if (this.#shown) this.#buffer.unshift(this.#shown);
    this.#show(pair);
  }

  #show(pair, by = null) {
    this.#shown?.watch.stop();
    this.#shown = pair;
    if (pair) {
      pair.seen = true;
      pair.watch.start();
    }
    this.#view.show(pair);
    this.#seen.shows(Boolean(pair), by);
    if (pair) this.#listener?.shown(pair.leaseId);
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
    this.#listener?.see(state);
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
    this.#view.disconnected(error instanceof Refused ? error.message : null);
    this.#report();
    this.#retryTimer ??= setTimeout(() => this.sync(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 1.6, MAX_RETRY_MS);
  }

  #report() {
    this.#view.delivery(this.#outbox.size);
  }
}

/** Whether the server has refused for good: not a proxy or a server in trouble, nor a login's end. */
function isFinal(error) {
  return error instanceof Refused && error.status < SERVER_ERROR && error.status !== LOGGED_OUT;
}
