// @ts-check
// What a page keeps in this browser, as JSON. Without storage it lives as long as the page.

/** What is kept under a key; `otherwise` if nothing is.
 *
 * @param {string} key
 * @param {any} otherwise */
export function kept(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null") ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keep a value; null forgets it.
 *
 * @param {string} key
 * @param {unknown} value */
export function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // It then lives in the page only.
  }
}
