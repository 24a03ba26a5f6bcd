// @ts-check
// What a page keeps in this browser: the only place that asks for its storage, which may be full, or
// not there at all. Then nothing is kept, and whoever needs it meanwhile has it in a field.

/** @typedef {"localStorage" | "sessionStorage"} Where  For all tabs and until it is cleared, or for one. */

/** The text under a key; null if there is none, undefined if there is no storage.
 *
 * @param {string} key
 * @param {Where} where */
export function textUnder(key, where = "localStorage") {
  try {
    return globalThis[where].getItem(key);
  } catch {
    return undefined;
  }
}

/** Keep a text; null forgets it. Returns whether the storage has taken it.
 *
 * @param {string} key
 * @param {string | null} text
 * @param {Where} where */
export function putText(key, text, where = "localStorage") {
  try {
    if (text === null) globalThis[where].removeItem(key);
    else globalThis[where].setItem(key, text);
    return true;
  } catch {
    return false;
  }
}

/** The keys of all that is kept for all tabs. */
export function keys() {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}

/** What is kept under a key as JSON; `otherwise` if nothing is.
 *
 * @param {string} key
 * @param {any} otherwise
 * @param {Where} where */
export function kept(key, otherwise, where = "localStorage") {
  try {
    return JSON.parse(textUnder(key, where) ?? "null") ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keep a value as JSON; null forgets it. Returns whether the storage has taken it.
 *
 * @param {string} key
 * @param {unknown} value
 * @param {Where} where */
export function keep(key, value, where = "localStorage") {
  return putText(key, value === null ? null : JSON.stringify(value), where);
}
