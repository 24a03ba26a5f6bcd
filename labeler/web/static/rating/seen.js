// @ts-check
// Whether the pair on screen can have been seen: it has stood there, in sight and unchanged, for long
// enough. What comes earlier was meant for the pair before: a double click, a key that bounces.
//
// The body's data-takes tells scripts which votes count: none without it, "others" than the last key
// or button, "all".

const SEEN_MS = 250; // a person's reaction time: nobody sees a pair and acts on it in less
const AGAIN_MS = 500; // two clicks within this time are one double click on most desktops

export class Seen {
  /** @type {number | null} In ms; null: no pair is in sight. */
  #since = null;
  #isThere = false;
  /** @type {string | null} The key or button of the vote that brought the pair. */
  #by = null;
  /** @type {ReturnType<typeof setTimeout>[]} */
  #timers = [];

  constructor() {
    document.addEventListener("visibilitychange", () => this.#begin());
    document.addEventListener("close", () => this.#begin(), true); // a dialog stood before the pair
  }

  /** Another pair came on screen, or none. `by`: the key or button of the vote that brought it.
   *
   * @param {boolean} isThere
   * @param {string | null} by */
  shows(isThere, by = null) {
    this.#isThere = isThere;
    this.#by = by;
    this.#begin();
  }

  /** Whether what a key or button did at this time, in ms, can be a vote on this pair.
   *
   * @param {string} by
   * @param {number} at */
  takes(by, at) {
    if (this.#since === null) return false;
    return at - this.#since >= (by === this.#by ? AGAIN_MS : SEEN_MS);
  }

  #begin() {
    this.#timers.forEach(clearTimeout);
    delete document.body.dataset.takes;
    const isInSight = this.#isThere && !document.hidden;
    this.#since = isInSight ? performance.now() : null;
    if (!isInSight) return;
    /** @type {(which: string, wait: number) => ReturnType<typeof setTimeout>} */
    const tell = (which, wait) =>
      setTimeout(() => {
        document.body.dataset.takes = which;
      }, wait);
    this.#timers = [tell("others", SEEN_MS), tell("all", this.#by === null ? SEEN_MS : AGAIN_MS)];
  }
}
