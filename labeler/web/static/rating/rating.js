// @ts-check
// The rating path: pairs in memory, votes out, undo.
//
// A vote swaps the pair on screen at once and goes into the outbox. Everything that talks to the
// server is a turn of the pump, one request at a time: deliver votes, undo, refill. So votes arrive in
// order, and an undo comes after the vote that it takes back.

import { MAX_SECONDS } from "../shared/bounds.js";
import { newId } from "../shared/dom.js";
import { Buffer } from "./buffer.js";
import { Delivery } from "./delivery.js";
import { keepDraft } from "./edit.js";
import { Pace } from "./pace.js";
import { Pump } from "./pump.js";
import { Undo } from "./undo.js";

const STATE_MS = 1_000;
const UNDO_WAITS = "The undo waits for the server. Press U again to give it up and go on.";
const UNDO_IS_SENT = "The undo is on its way. You can go on once the server has answered.";

/** @typedef {import("./server.js").Choice} Choice */
/** @typedef {import("./server.js").State} State */
/** @typedef {import("./server.js").Vote} Vote */
/** @typedef {import("./view.js").Pair} Pair */

/** What the rating path needs of the view.
 *
 * @typedef {Pick<import("./view.js").View, "prepare" | "show" | "took" | "stored" | "swallowed" | "explained" | "undoing"
 *   | "counted" | "see" | "delivery" | "connected" | "disconnected" | "complain" | "refused">} Screen */

/** Is told of votes, undone ones, pairs that come on screen, and states of the loop.
 *
 * @typedef {object} Listener
 * @property {(vote: Vote, pair: Pair) => void} voted
 * @property {() => void} undone
 * @property {(leaseId: string) => void} shown
 * @property {(state: State) => void} see */

export class Rating {
  #server;
  #outbox;
  #reasons;
  #seen;
  #view;
  #pace = new Pace();
  #buffer;
  #delivery;
  #pump;
  #undo;
  /** @type {import("./why.js").Explainable | null} The last vote. */
  #last = null;
  /** @type {State | null} */
  #state = null;
  #stateAt = -Infinity;
  #wantsState = false;
  /** @type {Listener | null} */
  #listener = null;

  /**
   * @param {object} parts
   * @param {string} parts.holder
   * @param {Pick<import("./server.js").Server, "pairs" | "votes" | "reasons" | "undo" | "history" | "state">} parts.server
   * @param {import("./outbox.js").Outbox<Vote>} parts.outbox
   * @param {import("./outbox.js").Outbox<import("./server.js").Reasons>} parts.reasons
   * @param {Pick<import("./seen.js").Seen, "takes" | "shows">} parts.seen
   * @param {Screen} parts.view */
  constructor({ holder, server, outbox, reasons, seen, view }) {
    this.#server = server;
    this.#outbox = outbox;
    this.#reasons = reasons;
    this.#seen = seen;
    this.#view = view;
    this.#buffer = new Buffer({ holder, server, prepare: (pair) => view.prepare(pair), pace: this.#pace });
    this.#delivery = new Delivery({ server, outbox, reasons, view, stored: this.#wasStored });
    this.#undo = new Undo({ holder, server });
    this.#pump = new Pump({ turn: () => this.#turn(), view, onState: (state) => this.#see(state) });
  }

  /** The pair on screen, or null. */
  get shown() {
    return this.#undo.isOpen ? null : this.#buffer.shown;
  }

  /** The vote that reasons would be for now, or null. */
  get last() {
    return this.#last;
  }

  /** How many votes the server has not confirmed. */
  get waiting() {
    return this.#outbox.size;
  }

  /** There is one listener: the rater's own prompts.
   *
   * @param {Listener} listener */
  subscribe(listener) {
    this.#listener = listener;
  }

  /** Whether a vote has not been delivered yet.
   *
   * @param {string} voteId */
  isUnsent(voteId) {
    return this.#outbox.has(voteId);
  }

  /** A pair that this rater asked for comes next, or at once if nothing is on screen.
   *  False if it does not wait: it is on screen, or has its vote.
   *
   * @param {import("./server.js").LeasedPair} leased */
  take(leased) {
    const known = this.#buffer.find(leased.lease_id);
    const held = [...this.#outbox.leaseIds, ...this.#buffer.leaseIds];
    if (!known && held.includes(leased.lease_id)) return false;
    const pair = known ?? this.#view.prepare(leased);
    pair.own = true; // it is kept whatever version goes live, and let nobody think it is outdated
    this.#buffer.putFirst(pair);
    if (!this.#buffer.shown) this.#showNext();
    return this.#buffer.shown !== pair;
  }

  /** Show a pair that waits now; the one on screen comes after it.
   *
   * @param {string} leaseId */
  bring(leaseId) {
    const pair = this.#buffer.find(leaseId);
    if (pair && !this.#undo.isOpen) this.#interrupt(pair);
  }

  /** A key or a button, `by`, voted `at` this time, in ms. It counts if the pair can have been seen.
   *
   * @param {Choice} choice
   * @param {number} strength
   * @param {string} by
   * @param {number} at */
  press(choice, strength, by, at) {
    if (!this.shown) return this.tellOfUndo();
    if (this.#seen.takes(by, at)) this.vote(choice, strength, at, null, by);
    else this.#view.swallowed(choice, strength);
  }

  /** Take the shown pair's vote and show the next pair. `at`: when the rater acted, in ms.
   *  `edit`: the text that the rater made of the chosen reply. `by`: the key or button.
   *
   * @param {Choice} choice
   * @param {number} strength
   * @param {number} at
   * @param {string | null} edit
   * @param {string | null} by */
  vote(choice, strength, at, edit = null, by = null) {
    const pair = this.shown;
    if (!pair) return;
    const seconds = Math.min(pair.watch.seconds(), MAX_SECONDS);
    this.#pace.voted(seconds);
    /** @type {Vote} */
    const vote = { vote_id: newId(), lease_id: pair.leaseId, choice, strength, seconds };
    if (edit !== null) vote.edit = edit;
    this.#outbox.add(vote, pair);
    this.sync(); // first: whatever is shown of it, it is on its way
    this.#listener?.voted(vote, pair);
    this.#last = { vote_id: vote.vote_id, choice, strength, prompt: pair.line };
    this.#showNext(by);
    this.#view.took(choice, strength, at, edit !== null);
    this.#view.counted(+1);
    this.#delivery.report();
  }

  /** A vote was stored before with another choice, and counts as that.
   *
   * @param {string} voteId
   * @param {Choice} choice
   * @param {number} strength */
  #wasStored = (voteId, choice, strength) => {
    const isLast = this.#last?.vote_id === voteId;
    if (this.#last && isLast) this.#last = { ...this.#last, choice, strength };
    this.#view.stored(choice, strength, isLast);
  };

  /** Add reasons and a comment to a vote of this rater.
   *
   * @param {string} voteId
   * @param {import("./why.js").Said} said */
  explain(voteId, said) {
    if (this.#last?.vote_id === voteId) this.#last = null; // they can be given once
    if (!this.#outbox.amend(voteId, said)) this.#reasons.add({ vote_id: voteId, ...said });
    this.#view.explained();
    this.sync();
  }

  /** Take back a vote, the last one of this page if none is named: here if it was never sent, else
   *  on the server. A vote on its way is named, for it may be refused. During an outage, asked for
   *  a second time, it is given up.
   *
   * @param {string | null} voteId */
  undo(voteId = null) {
    if (this.#undo.isOpen) return voteId === null ? this.#endUndo() : this.tellOfUndo();
    const withdrawn = voteId === null ? this.#outbox.withdraw() : null;
    if (withdrawn) {
      const { vote, pair } = withdrawn;
      if (pair) this.#bringBack(pair);
      if (vote.edit) this.#keepEdit(vote.choice, vote.edit);
      this.#delivery.report();
      return;
    }
    this.#undo.begin(voteId ?? this.#outbox.newestId);
    this.#view.undoing(true);
    this.sync();
  }

  /** Say that nothing else goes on while a vote is being taken back. */
  tellOfUndo() {
    if (!this.#undo.isOpen) return;
    this.#view.complain(this.#mayEndUndo ? UNDO_WAITS : UNDO_IS_SENT, true);
  }

  /** While the connection is up, an undo is over before anybody can have thought better of it. */
  get #mayEndUndo() {
    return this.#pump.isLost && this.#undo.canEnd;
  }

  /** The undo is not wanted any more. */
  #endUndo() {
    if (!this.#mayEndUndo) return this.tellOfUndo();
    this.#undo.end();
    this.#view.undoing(false);
    this.#view.complain("The undo is given up: your vote stays.", true);
  }

  /** Called twice a second while the page is in sight.
   *
   * @param {number} now */
  tick(now) {
    if (!this.#pump.isResting) return;
    const lacks = !this.#buffer.shown && this.#pump.isRested(now);
    if (this.#buffer.isDue(now)) this.refresh();
    else if (lacks) this.sync();
    else if (now - this.#stateAt > STATE_MS) this.#look(now);
  }

  /** Look at the state now, and for votes of closed tabs: the rater came back to this page, or the
   *  network did, or a minute has passed. */
  refresh() {
    this.#wantsState = true;
    this.sync();
    this.#adopt();
  }

  async #adopt() {
    const found = [await this.#outbox.adopt(), await this.#reasons.adopt()];
    if (found.includes(true)) this.sync();
  }

  /** Talk to the server until there is nothing to say. */
  sync() {
    this.#pump.sync();
  }

  async #turn() {
    /** @type {import("./pump.js").Ask} */
    const ask = (request) => this.#pump.ask(request);
    await this.#delivery.sendVotes(ask, () => this.#buffer.isShort); // then pairs are needed first
    await this.#delivery.sendReasons(ask);
    const undone = this.#outbox.size ? null : await this.#undo.send(ask);
    if (undone) this.#undone(undone);
    await this.#buffer.refill(ask, this.#state, () => this.#outbox.leaseIds);
    if (!this.#buffer.shown) this.#showNext();
    if (this.#pump.isLost || this.#wantsState) await ask(() => this.#server.state());
    this.#wantsState = false;
    if (this.#outbox.size) this.sync(); // for the rest
  }

  /** @param {import("./server.js").Undone} undone */
  #undone({ pair, reason, choice, edit, trained = null }) {
    this.#view.undoing(false);
    if (pair) {
      this.#bringBack(this.#view.prepare(pair));
      if (edit) this.#keepEdit(choice, edit);
    }
    if (reason) this.#view.complain(reason, true);
    else if (pair && trained === null) this.#view.complain("Your vote is undone: here is the pair again.", true);
    else if (trained !== null) {
      this.#view.complain(`Your vote is undone. Version ${trained} has been trained since; later versions will not learn from it.`, true);
    }
  }

  /** An edit that came with a vote waits for its pair, which is on screen, to be edited again.
   *
   * @param {Choice | undefined} side
   * @param {string} text */
  #keepEdit(side, text) {
    const pair = this.#buffer.shown;
    if (pair && (side === "left" || side === "right")) keepDraft({ leaseId: pair.leaseId, side, text });
  }

  /** @param {string | null} by */
  #showNext(by = null) {
    this.#buffer.shown?.watch.stop();
    this.#buffer.next();
    this.#show(by);
  }

  /** Show this pair now; the one that was there waits in front of the others.
   *
   * @param {Pair} pair */
  #interrupt(pair) {
    this.#buffer.shown?.watch.stop();
    this.#buffer.interrupt(pair);
    this.#show();
  }

  /** An undone pair comes on screen again.
   *
   * @param {Pair} pair */
  #bringBack(pair) {
    this.#last = null;
    this.#listener?.undone();
    this.#view.counted(-1);
    this.#interrupt(pair);
  }

  /** @param {string | null} by */
  #show(by = null) {
    const pair = this.#buffer.shown;
    if (pair) {
      pair.seen = true;
      pair.watch.start();
    }
    this.#view.show(pair, this.#buffer.behind);
    this.#seen.shows(Boolean(pair), by);
    if (pair) this.#listener?.shown(pair.leaseId);
  }

  /** @param {number} now */
  async #look(now) {
    this.#stateAt = now;
    const isAnswered = await this.#pump.look(() => this.#server.state());
    if (isAnswered && this.#state && this.#buffer.outdated(this.#state).length) this.sync();
  }

  /** @param {State} state */
  #see(state) {
    this.#stateAt = performance.now();
    this.#state = state;
    this.#view.see(state);
    this.#listener?.see(state);
  }
}
