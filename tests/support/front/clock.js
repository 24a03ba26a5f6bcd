// @ts-check
// A clock that stands still until it is told to go on, in place of setTimeout and performance.now.

/** Let every promise that can go on do so. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

export class Clock {
  #now = 0;
  /** @type {{ id: number, time: number, act: () => void }[]} */
  #timers = [];
  #made = 0;

  /** Put it in place of the real one. */
  install() {
    const setTimeout = (act, wait = 0) => this.at(this.#now + wait, act);
    const clearTimeout = (id) => {
      this.#timers = this.#timers.filter((timer) => timer.id !== id);
    };
    Object.assign(globalThis, { setTimeout, clearTimeout });
    performance.now = () => this.#now;
    return this;
  }

  get now() {
    return this.#now;
  }

  /** Do something at a time, in ms. Returns what clearTimeout takes. */
  at(time, act) {
    const id = ++this.#made;
    this.#timers.push({ id, time, act });
    return id;
  }

  /** Go on by so many ms, from one timer to the next. */
  async advance(ms) {
    const end = this.#now + ms;
    await settled();
    for (let timer = this.#next(); timer && timer.time <= end; timer = this.#next()) {
      this.#timers.splice(this.#timers.indexOf(timer), 1);
      this.#now = Math.max(this.#now, timer.time);
      timer.act();
      await settled();
    }
    this.#now = end;
  }

  #next() {
    return this.#timers.toSorted((one, other) => one.time - other.time || one.id - other.id)[0];
  }
}
