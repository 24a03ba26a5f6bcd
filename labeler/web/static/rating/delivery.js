// @ts-check
// Delivers what waits in the outboxes: votes in the order in which they were cast, then reasons.

import { MAX_VOTES } from "../shared/bounds.js";

const NOT_UNDERSTOOD = 422;

/** @typedef {import("./pump.js").Ask} Ask */

export class Delivery {
  #server;
  #outbox;
  #reasons;
  #view;
  #stored;
  #batch = MAX_VOTES;

  /**
   * @param {object} parts
   * @param {Pick<import("./server.js").Server, "votes" | "reasons">} parts.server
   * @param {import("./outbox.js").Outbox<import("./server.js").Vote>} parts.outbox
   * @param {import("./outbox.js").Outbox<import("./server.js").Reasons>} parts.reasons
   * @param {Pick<import("./view.js").View, "refused" | "counted" | "delivery">} parts.view
   * @param {(voteId: string, choice: import("./server.js").Choice, strength: number) => void}
   *     parts.stored told of a vote that was stored before with another choice */
  constructor({ server, outbox, reasons, view, stored }) {
    this.#server = server;
    this.#outbox = outbox;
    this.#reasons = reasons;
    this.#view = view;
    this.#stored = stored;
  }

  /** Send votes until none is left, or until `isEnough` says that something else comes first.
   *
   * @param {Ask} ask
   * @param {() => boolean} isEnough */
  async sendVotes(ask, isEnough) {
    this.report();
    while (this.#outbox.size) {
      const votes = this.#outbox.take(this.#batch);
      const ids = votes.map((vote) => vote.vote_id);
      try {
        const { receipts } = await ask(() => this.#server.votes(votes));
        this.#outbox.remove(ids);
        this.#batch = MAX_VOTES;
        for (const receipt of receipts) {
          const { vote_id: voteId, choice, strength } = receipt;
          if (choice) this.#stored(voteId, choice, strength ?? 1);
          else if (!receipt.saved) this.#refused(receipt.reason);
        }
      } catch (error) {
        if (error.status !== NOT_UNDERSTOOD) throw error;
        this.#dropNotUnderstood(ids, error.message);
      }
      this.report();
      if (isEnough()) return;
    }
  }

  /** Send reasons, once every vote is there.
   *
   * @param {Ask} ask */
  async sendReasons(ask) {
    while (this.#reasons.size && !this.#outbox.size) {
      const [said] = this.#reasons.take(1);
      try {
        const { receipt } = await ask(() => this.#server.reasons(said));
        if (!receipt.saved) this.#view.refused("reason", receipt.reason ?? "");
      } catch (error) {
        if (error.status !== NOT_UNDERSTOOD) throw error;
        this.#view.refused("reason", error.message);
      }
      this.#reasons.remove([said.vote_id]);
    }
  }

  /** Tell the view how many votes are not confirmed. */
  report() {
    this.#view.delivery(this.#outbox.size);
  }

  /** One bad vote must not hold up the others: send them one by one, and drop the bad one.
   *
   * @param {string[]} ids
   * @param {string} sentence */
  #dropNotUnderstood(ids, sentence) {
    this.#batch = 1;
    if (ids.length > 1) return;
    this.#outbox.remove(ids);
    this.#refused(sentence);
  }

  /** @param {string | null} sentence */
  #refused(sentence) {
    this.#view.counted(-1);
    this.#view.refused("vote", sentence ?? "");
  }
}
