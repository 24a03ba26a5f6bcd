// @ts-check
// One sentence at the foot of the page, for a while.

import { byId, setText } from "./dom.js";

const SHOWN_MS = 8_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Show a sentence, in place of the last one.
 *
 * @param {string} sentence */
export function toast(sentence) {
  const place = byId("toast");
  setText(place, sentence);
  clearTimeout(timer);
  timer = setTimeout(() => setText(place, ""), SHOWN_MS);
}
