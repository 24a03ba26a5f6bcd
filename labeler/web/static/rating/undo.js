// @ts-check
// An undo on the server. It has an id made here and names its vote, so that sending it again, or a
// copy that arrives late, takes back no more.

import { newId } from "../shared/dom.js";
import { Refused } from "../shared/send.js";

const NOTHING_LEFT = "This tab has no vote left to undo.";
const LOGGED_OUT = 401;
const SERVER_ERROR = 500;

/** @typedef {import("./pump.js").Ask} Ask */
/** @typedef {import("./server.js").Undone} Undone */

export class Undo {
  #holder;
  #server;
  /** @type {import("./server.js").UndoBody | null} */
  #body = null;
  #isSent = false;

  /**
   * @param {object} parts
   * @param {string} parts.holder
   * @param {Pick<import("./server.js").Server, "undo" | "history">} parts.server */
  constructor({ holder, server }) {
    this.#holder = holder;
    this.#server = server;
  }

  /** Whether an undo waits for its answer. */
  get isOpen() {
    return this.#body !== null;
  }

  /** Want a vote back: the one named, or for null the last one of this page.
   *
   * @param {string | null} voteId */
  begin(voteId) {
    this.#body = { undo_id: newId(), holder: this.#holder, vote_id: voteId };
    this.#isSent = false;
  }

  /** Whether it can be given up: no request has carried it, so it cannot have arrived. */
  get canEnd() {
    return this.isOpen && !this.#isSent;
  }

  /** Give it up, if it can be. */
  end() {
    if (this.canEnd) this.#body = null;
  }

  /** Send it and return what the server says. Without an answer the same undo is sent again: it may
   *  have arrived, and a new one would take back one vote more.
   *
   * @param {Ask} ask
   * @returns {Promise<Undone | null>} null: nothing is to be undone. */
  async send(ask) {
    const body = this.#body;
    if (!body) return null;
    const answer = await this.#answer(ask, body).catch((error) => {
      if (!isFinal(error)) throw error;
      return { pair: null, reason: `The undo was refused: ${error.message}` };
    });
    if (this.#body !== body) return null; // it was given up meanwhile
    this.#body = null;
    return answer;
  }

  /**
   * @param {Ask} ask
   * @param {import("./server.js").UndoBody} body
   * @returns {Promise<Undone | null>} */
  async #answer(ask, body) {
    body.vote_id ??= await this.#newest(ask);
    if (this.#body !== body) return null;
    if (body.vote_id === null) return { pair: null, reason: NOTHING_LEFT };
    this.#isSent = true;
    return ask(() => this.#server.undo(body));
  }

  /** The last vote of this tab that stands, or null.
   *
   * @param {Ask} ask */
  async #newest(ask) {
    const { votes } = await ask(() => this.#server.history(this.#holder));
    return votes[0]?.vote_id ?? null;
  }
}

/** Whether the server has refused for good: not a proxy or a server in trouble, nor a login's end.
 *
 * @param {unknown} error */
function isFinal(error) {
  return error instanceof Refused && error.status < SERVER_ERROR && error.status !== LOGGED_OUT;
}
