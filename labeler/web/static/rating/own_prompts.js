// @ts-check
// A rater's own prompts, from the text to the pair on screen.
//
//   composer.js (the text) -> OwnPrompts: send -> look every so often -> ready -> rating.js
//
// What was not sent yet is kept in this tab, and each prompt has an id made here, so that a lost
// connection or a reload neither loses one nor asks it twice. Voting goes on meanwhile.

import { Composer } from "./composer.js";
import { KEPT } from "../shared/base.js";
import { byId, newId } from "../shared/dom.js";
import { keep, kept } from "../shared/kept.js";
import { Refused, Unreachable } from "../shared/send.js";
import { isGone } from "./holder.js";
import { OwnList } from "./own_list.js";

const LOOK_MS = 300;
const RETRY_MS = 2_000;
const OPEN = ["unsent", "waiting", "sampling"];
const LOGIN_NEEDED = 401;
/** @type {Record<string, string>} */
const SIDES = { left: "Reply 1", right: "Reply 2" };

/** A prompt of the rater's own, and how far it is.
 *
 * @typedef {object} Ask
 * @property {string} id
 * @property {string} text
 * @property {string | null} [continues]  The vote that it goes on from.
 * @property {string} state
 * @property {number} done  Tokens of both replies, at most `most`.
 * @property {number} most
 * @property {string | null} reason  Why it failed.
 * @property {string | null} leaseId */

/** What a prompt can go on from: the vote, the name of its reply, the prompt and the text.
 *
 * @typedef {{ voteId: string, name: string, prompt: Node, reply: string }} Continued */

export class OwnPrompts {
  #holder;
  #server;
  #rating;
  #key;
  #composer;
  #list;
  /** @type {Map<string, Ask>} */
  #asks = new Map();
  /** @type {Set<string>} Ids that this page is done with. */
  #over = new Set();
  /** @type {Continued | null} The last vote that prefers a reply. */
  #last = null;
  /** @type {import("./server.js").State | null} */
  #state = null;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  #looking = false;

  /** `me`: whose prompts these are; what is not sent yet waits for the same person.
   *
   * @param {{ holder: string, server: Pick<import("./server.js").Server, "ask" | "look">, rating: import("./rating.js").Rating, me: import("../shared/who.js").Me }} parts */
  constructor({ holder, server, rating, me }) {
    this.#holder = holder;
    this.#server = server;
    this.#rating = rating;
    this.#key = `${KEPT}.asks.${me.owner}`;
    this.#composer = new Composer(me.rater_id, (text, continues) => this.#send(text, continues));
    this.#list = new OwnList({
      open: () => this.open(),
      show: (id) => this.#show(id),
      again: (id) => this.#again(id),
      dismiss: (id) => this.#forget(id),
    });
    byId("ask").append(...this.#list.nodes, this.#composer.node);
    for (const ask of this.#unsent(`${KEPT}.asks.${me.rater_id}`)) this.#add({ ...ask, state: "unsent" });
    rating.subscribe(this);
    this.#run();
  }

  /** What an earlier page could not send, and one that did not tell services apart.
   *
   * @param {string} olderKey
   * @returns {{ id: string, text: string, continues: string | null }[]} */
  #unsent(olderKey) {
    const older = kept(olderKey, [], "sessionStorage");
    keep(olderKey, null, "sessionStorage");
    return [...older, ...kept(this.#key, [], "sessionStorage")];
  }

  /** The key and the button: a reply that is ready, else the composer. */
  open() {
    const ready = [...this.#asks.values()].find((ask) => ask.state === "ready");
    if (ready) this.#show(ready.id);
    else this.#composer.open(this.#last);
  }

  /** A vote was cast on this pair.
   *
   * @param {import("./server.js").Vote} vote
   * @param {import("./view.js").Pair} pair */
  voted(vote, pair) {
    const name = SIDES[vote.choice];
    const sampled = vote.choice === "left" ? pair.replies.texts.left : pair.replies.texts.right;
    const reply = vote.edit ?? sampled;
    this.#last = name ? { voteId: vote.vote_id, name, prompt: pair.prompt, reply } : null;
    this.#composer.offer(this.#last);
  }

  /** The last vote was taken back. */
  undone() {
    this.#last = null;
    this.#composer.offer(null);
  }

  /** A pair came on screen.
   *
   * @param {string} leaseId */
  shown(leaseId) {
    const ask = [...this.#asks.values()].find((one) => one.leaseId === leaseId);
    if (ask) this.#forget(ask.id);
  }

  /** The state of the loop. The first one tells what an earlier page of this rater had asked.
   *
   * @param {import("./server.js").State} state */
  see(state) {
    const isFirst = this.#state === null;
    this.#state = state;
    if (isFirst) for (const id of state.asks ?? []) this.#add({ id, text: "", state: "waiting" });
    if (isFirst) this.#run();
    this.#draw();
  }

  /**
   * @param {string} text
   * @param {string | null} continues */
  #send(text, continues) {
    this.#add({ id: newId(), text, continues, state: "unsent" });
    this.#run();
  }

  /** @param {Partial<Ask> & { id: string, text: string, state: string }} ask */
  #add(ask) {
    if (this.#over.has(ask.id) || this.#asks.has(ask.id)) return;
    this.#asks.set(ask.id, { done: 0, most: 0, reason: null, leaseId: null, ...ask });
    this.#changed();
  }

  /** @param {string} id */
  #forget(id) {
    this.#over.add(id);
    this.#asks.delete(id);
    this.#changed();
  }

  /** @param {string} id */
  #again(id) {
    const ask = this.#asks.get(id);
    if (!ask) return;
    this.#forget(id);
    this.#composer.open(this.#last, ask.text);
  }

  /** @param {string} id */
  #show(id) {
    const leaseId = this.#asks.get(id)?.leaseId;
    if (leaseId) this.#rating.bring(leaseId);
  }

  #run(wait = 0) {
    if (this.#timer !== null || this.#looking) return;
    this.#timer = setTimeout(() => this.#lookAtAll(), wait);
  }

  /** One turn: send what is not sent, look at what is open; again until there is nothing to do. */
  async #lookAtAll() {
    this.#timer = null;
    this.#looking = true;
    let wait = LOOK_MS;
    try {
      for (const ask of [...this.#asks.values()]) await this.#lookAt(ask);
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
      wait = RETRY_MS;
    } finally {
      this.#looking = false;
      if ([...this.#asks.values()].some(({ state }) => OPEN.includes(state))) this.#run(wait);
    }
  }

  /** @param {Ask} ask */
  async #lookAt(ask) {
    try {
      if (ask.state === "unsent") await this.#deliver(ask);
      else if (OPEN.includes(ask.state)) await this.#took(ask, await this.#server.look(ask.id, this.#holder));
    } catch (error) {
      // What the server will not take is said; what it cannot take now is tried again.
      const isFinal = error instanceof Refused && error.status < 500 && error.status !== LOGIN_NEEDED;
      if (!isFinal) throw error;
      this.#update(ask, { state: "failed", reason: error.message });
    }
  }

  /** @param {Ask} ask */
  async #deliver(ask) {
    if (ask.continues && this.#rating.isUnsent(ask.continues)) return; // its vote goes first
    const body = { ask_id: ask.id, text: ask.text, continues: ask.continues ?? null };
    await this.#took(ask, await this.#server.ask(body));
  }

  /**
   * @param {Ask} ask
   * @param {import("./server.js").Asked} told */
  async #took(ask, told) {
    if (!this.#asks.has(ask.id)) return;
    const { state, text, reason, pair, done_tokens: done, max_tokens: most } = told;
    if (state !== "ready") this.#update(ask, { state, text, reason, done, most });
    else if (pair) {
      Object.assign(ask, { leaseId: pair.lease_id, text });
      if (this.#rating.take(pair)) this.#update(ask, { state });
      else this.#forget(ask.id); // it is on screen, or has its vote
    } else if (told.elsewhere && (await isGone(told.elsewhere))) {
      await this.#took(ask, await this.#server.look(ask.id, this.#holder, told.elsewhere));
    } else if (told.elsewhere || ask.state !== "unsent") {
      this.#forget(ask.id); // another tab has it, or it has its vote
    } else this.#update(ask, { state: "waiting", text }); // sent twice: the answer to the first was lost
  }

  /**
   * @param {Ask} ask
   * @param {Partial<Ask>} change */
  #update(ask, change) {
    const before = ask.state;
    Object.assign(ask, change);
    if (!this.#asks.has(ask.id)) return;
    if (ask.state !== before) this.#list.announce(ask);
    this.#changed();
  }

  #changed() {
    const unsent = [...this.#asks.values()].filter(({ state }) => state === "unsent");
    const texts = unsent.map(({ id, text, continues }) => ({ id, text, continues }));
    keep(this.#key, texts.length ? texts : null, "sessionStorage");
    this.#draw();
  }

  #draw() {
    this.#list.show([...this.#asks.values()], this.#state?.update?.runs ? this.#state.activity : "");
  }
}
