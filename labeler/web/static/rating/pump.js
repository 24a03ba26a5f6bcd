// @ts-check
// The loop that talks to the server: one turn after the other until there is nothing to say, and
// again after a failure, later each time.

import { Refused, Unreachable } from "../shared/send.js";

const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 4_000;
const PATIENCE = 4; // times as long as the last request took, so that who waits does not keep others waiting
const MAX_REST_MS = 4_000; // a server that hung for a minute is not busy any more

/** Makes one request, and hands its answer on.
 *
 * @typedef {<Answer>(request: () => Promise<Answer>) => Promise<Answer>} Ask */

/** @typedef {import("./server.js").State} State */

export class Pump {
  #turn;
  #view;
  #onState;
  #isAsked = false;
  #isWorking = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  #retryMs = FIRST_RETRY_MS;
  #sent = 0; // requests are numbered, so that a late answer does not bring back an older state
  #stateNumber = 0;
  #isLost = false;
  #restsUntil = -Infinity;

  /** `turn`: says all there is to say, each request through `ask`. `view`: hears of the connection.
   *  `onState`: gets each state of the loop that is newer than the one before.
   *
   * @param {object} parts
   * @param {() => Promise<void>} parts.turn
   * @param {Pick<import("./view.js").View, "connected" | "disconnected">} parts.view
   * @param {(state: State) => void} parts.onState */
  constructor({ turn, view, onState }) {
    this.#turn = turn;
    this.#view = view;
    this.#onState = onState;
  }

  /** Whether neither a turn runs nor one is due after a failure. */
  get isResting() {
    return !this.#isWorking && this.#retryTimer === undefined;
  }

  /** Whether it is time to ask again for what was not there: a busy server is asked less often.
   *
   * @param {number} now */
  isRested(now) {
    return now >= this.#restsUntil;
  }

  /** Whether the last request failed. */
  get isLost() {
    return this.#isLost;
  }

  /** Take a turn now, or one more after the turn that runs. */
  sync() {
    this.#isAsked = true;
    if (!this.#isWorking) this.#work();
  }

  /** One request. Its answer proves the connection and tells the state of the loop.
   *
   * @template Answer
   * @param {() => Promise<Answer>} request */
  async ask(request) {
    const number = ++this.#sent;
    const began = performance.now();
    const answer = await request();
    const ended = performance.now();
    this.#restsUntil = ended + Math.min(PATIENCE * (ended - began), MAX_REST_MS);
    const { state } = /** @type {{ state?: State }} */ (answer);
    this.#connected();
    if (number > this.#stateNumber) {
      this.#stateNumber = number;
      this.#onState(state ?? /** @type {State} */ (answer));
    }
    return answer;
  }

  /** One request beside the turns, which nothing depends on. Returns whether it was answered.
   *
   * @param {() => Promise<unknown>} request */
  async look(request) {
    try {
      await this.ask(request);
      return true;
    } catch (error) {
      this.#disconnected(error);
      return false;
    }
  }

  async #work() {
    this.#isWorking = true;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    try {
      while (this.#isAsked) {
        this.#isAsked = false;
        await this.#turn();
      }
    } catch (error) {
      this.#disconnected(error);
    } finally {
      this.#isWorking = false;
    }
  }

  /** A turn may run by now: it was a look beside it that failed. */
  #retry() {
    this.#retryTimer = undefined;
    this.sync();
  }

  #connected() {
    this.#isLost = false;
    this.#retryMs = FIRST_RETRY_MS;
    this.#view.connected();
  }

  /** @param {unknown} error */
  #disconnected(error) {
    const isExpected = error instanceof Refused || error instanceof Unreachable;
    if (!isExpected) console.error(error);
    this.#isLost = true;
    this.#view.disconnected(error instanceof Refused ? error.message : null);
    this.#retryTimer ??= setTimeout(() => this.#retry(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 1.6, MAX_RETRY_MS);
  }
}
