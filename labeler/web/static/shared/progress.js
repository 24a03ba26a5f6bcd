// @ts-check
// A bar that says how far something is.

import { element } from "./dom.js";

/** A bar and the function that fills it. `label`: what it is about.
 *
 * @param {string} label */
export function progressBar(label) {
  const inner = element("span");
  const node = element("div", { class: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": "0" }, inner);
  /** @type {(done: number, wanted: number) => void} */
  const fill = (done, wanted) => {
    const most = Math.max(1, wanted);
    node.setAttribute("aria-valuenow", String(done));
    node.setAttribute("aria-valuemax", String(most));
    inner.style.width = `${(100 * done) / most}%`;
  };
  return { node, fill };
}
