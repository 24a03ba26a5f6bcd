// @ts-check
// Scrolling: both replies together if wanted, each by its share; and by keys without a focus.

const STEP = 60; // px, an arrow key
/** @type {Record<string, (body: HTMLElement) => number>} */
const KEYS = {
  ArrowDown: () => STEP,
  ArrowUp: () => -STEP,
  PageDown: (body) => 0.9 * body.clientHeight,
  PageUp: (body) => -0.9 * body.clientHeight,
  " ": (body) => 0.9 * body.clientHeight,
  Home: (body) => -body.scrollHeight,
  End: (body) => body.scrollHeight,
};

export class ScrollSync {
  #bodies;
  #echoes = new Set(); // bodies that we have moved, and that will tell so
  #moved = false;
  isOn = false;

  /**
   * @param {HTMLElement} left
   * @param {HTMLElement} right */
  constructor(left, right) {
    this.#bodies = [left, right];
    left.addEventListener("scroll", () => this.#follow(left, right), { passive: true });
    right.addEventListener("scroll", () => this.#follow(right, left), { passive: true });
    document.addEventListener("keydown", (event) => this.#scrollByKey(event));
  }

  /** Both from the top, for a new pair. */
  reset() {
    if (!this.#moved) return; // asking for a place that did not change would cost a layout
    for (const body of this.#bodies) body.scrollTop = 0;
    this.#moved = false;
  }

  /**
   * @param {HTMLElement} body
   * @param {HTMLElement} other */
  #follow(body, other) {
    this.#moved = true;
    if (this.#echoes.delete(body) || !this.isOn) return;
    const room = body.scrollHeight - body.clientHeight;
    const to = Math.round((body.scrollTop / Math.max(1, room)) * (other.scrollHeight - other.clientHeight));
    if (Math.abs(other.scrollTop - to) < 1) return;
    this.#echoes.add(other);
    other.scrollTop = to;
  }

  /** Where nothing has the focus and the window itself does not scroll.
   *
   * @param {KeyboardEvent} event */
  #scrollByKey(event) {
    const isFree = event.target === document.body && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (!(event.key in KEYS) || !isFree || document.querySelector("dialog[open]")) return;
    const scrollable = this.#bodies.filter((body) => body.scrollHeight > body.clientHeight + 1);
    if (!scrollable.length) return;
    event.preventDefault();
    for (const body of scrollable) body.scrollTop += KEYS[event.key](body) * (event.shiftKey ? -1 : 1);
  }
}
