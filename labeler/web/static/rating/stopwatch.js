// @ts-check
// How long a pair was looked at: time counts only while the page is in sight.

export class Stopwatch {
  #total = 0;
  /** @type {number | null} */
  #since = null;
  #onChange = () => (document.hidden ? this.#pause() : this.#resume());

  start() {
    document.addEventListener("visibilitychange", this.#onChange);
    if (!document.hidden) this.#resume();
  }

  stop() {
    document.removeEventListener("visibilitychange", this.#onChange);
    this.#pause();
  }

  seconds() {
    const running = this.#since === null ? 0 : performance.now() - this.#since;
    return (this.#total + running) / 1000;
  }

  #resume() {
    this.#since ??= performance.now();
  }

  #pause() {
    this.#total = this.seconds() * 1000;
    this.#since = null;
  }
}
