// What the scripts find in a browser, for Node: storage and locks.

/** Keeps texts under their names, as localStorage does: its names are those of the object. */
export class Shelf {
  static isFull = false;

  getItem(name) {
    return Object.hasOwn(this, name) ? this[name] : null;
  }

  setItem(name, text) {
    if (Shelf.isFull) throw new Error("the storage is full");
    this[name] = text;
  }

  removeItem(name) {
    delete this[name];
  }
}

/** Web Locks, as far as the page uses them: an open page holds the lock of its name. */
class Locks {
  held = new Set();

  request(name, _options, act) {
    return Promise.resolve(act(this.held.has(name) ? null : { name }));
  }
}

/** A browser without any page: nothing is kept, no lock is held. */
export function openBrowser() {
  Shelf.isFull = false;
  const made = { localStorage: new Shelf(), sessionStorage: new Shelf(), navigator: { locks: new Locks() } };
  for (const [name, value] of Object.entries(made)) {
    Object.defineProperty(globalThis, name, { value, configurable: true });
  }
}
