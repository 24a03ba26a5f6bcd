// One sentence at the foot of the page, for a while.

import { setText } from "./dom.js";

const SHOWN_MS = 8_000;
let timer = null;

/** Show a sentence, in place of the last one. */
export function toast(sentence) {
  const place = document.getElementById("toast");
  setText(place, sentence);
  clearTimeout(timer);
  timer = setTimeout(() => setText(place, ""), SHOWN_MS);
}
