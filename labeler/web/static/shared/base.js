// @ts-check
// Where this service is: at the root of its host, or under a path that a proxy gave it. Addresses in
// scripts are the service's own, "/dashboard"; the pages' documents name theirs relatively.

// From /page/VERSION/shared/: "/", or "/label/".
const BASE = new URL("../../../", import.meta.url).pathname;

/** What the names of all that is kept in the browser begin with: services under other paths of the
 *  same host share its storage. */
export const KEPT = BASE === "/" ? "livedpo" : `livedpo${BASE}`;

/** The address of a path of ours for the browser.
 *
 * @param {string} path */
export function at(path) {
  return BASE + path.slice(1);
}

/** The path of ours that is open. */
export function here() {
  return `/${location.pathname.slice(BASE.length)}`;
}
