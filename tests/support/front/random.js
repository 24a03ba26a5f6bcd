// @ts-check
// Chance that a seed repeats (mulberry32).

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  /** From 0 to 1, without 1. */
  share() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Whether something of this probability happens. */
  hits(probability) {
    return this.share() < probability;
  }

  /** A number from 0 to `end`, without it. */
  below(end) {
    return Math.floor(this.share() * end);
  }

  /** One of them. */
  pick(things) {
    return things[this.below(things.length)];
  }
}
