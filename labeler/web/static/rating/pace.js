// @ts-check
// How fast this rater reads and votes, and so how many pairs an outage would take.

const LAST_VOTES = 10;
const MIN_VOTES = 3; // the pace of fewer is not known

export class Pace {
  /** @type {number[]} How long the pairs of the last votes were in sight. */
  #seconds = [];

  /** @param {number} seconds */
  voted(seconds) {
    this.#seconds = [...this.#seconds, seconds].slice(-LAST_VOTES);
  }

  /** How many pairs the rater gets through in so many seconds; 0 while that is not known.
   *
   * @param {number} seconds */
  pairs(seconds) {
    if (this.#seconds.length < MIN_VOTES) return 0;
    const each = this.#seconds.reduce((sum, one) => sum + one, 0) / this.#seconds.length;
    return Math.ceil(seconds / Math.max(each, 1));
  }
}
