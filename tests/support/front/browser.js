// @ts-check
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

/** The holders that are open tabs. @type {Set<string>} */
export const openTabs = new Set();

/** Web Locks, as far as the page uses them: an open tab holds the lock of its name. */
const LOCKS = {
  request: (name, _options, act) => Promise.resolve(act(openTabs.has(name.replace("livedpo.holder.", "")) ? null : { name })),
};

/** A browser without any page: nothing is kept, no lock is held. */
export function openBrowser() {
  Shelf.isFull = false;
  openTabs.clear();
  const made = { localStorage: new Shelf(), sessionStorage: new Shelf(), navigator: { locks: LOCKS } };
  for (const [name, value] of Object.entries(made)) {
    Object.defineProperty(globalThis, name, { value, configurable: true });
  }
}
