// @ts-check
// Which words two texts do not share, marked with <mark>.

import { diffArrays } from "../vendor/jsdiff/array.js";

const MAX_EDITS = 2_000; // words that one of the two lacks; more take too long to find
const MIN_SHARED = 0.15; // of the shorter text; below, marks would cover nearly everything
// A word; one sign of a script that writes no spaces between words; any other sign.
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]|[\p{L}\p{N}\p{M}_'’]+|[^\s]/gu;

/** @typedef {{ node: Text, start: number, end: number, text: string }} Word */
/** @typedef {{ added: boolean, removed: boolean, count: number }} Part */

/** Mark in both elements the words that the other lacks. Returns why nothing is marked, or "".
 *
 * @param {HTMLElement} left
 * @param {HTMLElement} right */
export function markDifferences(left, right) {
  const [first, second] = [wordsOf(left), wordsOf(right)];
  /** @type {Part[] | undefined} */
  const parts = diffArrays(texts(first), texts(second), { maxEditLength: MAX_EDITS });
  if (!parts) return "These replies are too long to compare word by word.";
  const inFirst = parts.filter((part) => !part.added);
  const inSecond = parts.filter((part) => !part.removed);
  const shared = inFirst.reduce((sum, { removed, count }) => sum + (removed ? 0 : count), 0);
  if (shared < MIN_SHARED * Math.min(first.length, second.length)) return "These replies have hardly a word in common.";
  mark(first, inFirst);
  mark(second, inSecond);
  return "";
}

/** Every word below an element.
 *
 * @param {HTMLElement} element */
function wordsOf(element) {
  /** @type {Word[]} */
  const words = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = /** @type {Text} */ (walker.currentNode);
    for (const found of node.data.matchAll(WORD)) {
      words.push({ node, start: found.index, end: found.index + found[0].length, text: found[0] });
    }
  }
  return words;
}

/** @param {Word[]} words */
function texts(words) {
  return words.map((word) => word.text);
}

/** Wrap the words that the other text lacks, last ones first, so that earlier places stay right.
 *
 * @param {Word[]} words
 * @param {Part[]} parts */
function mark(words, parts) {
  let place = 0;
  const runs = parts.flatMap(({ added, removed, count }) => {
    const some = words.slice(place, place + count);
    place += count;
    return added || removed ? runsOf(some) : [];
  });
  for (const { node, start, end } of runs.reverse()) {
    node.splitText(end);
    const marked = node.splitText(start);
    const wrap = document.createElement("mark");
    marked.replaceWith(wrap);
    wrap.append(marked);
  }
}

/** Words that follow each other in one text node, as one run each.
 *
 * @param {Word[]} words */
function runsOf(words) {
  /** @type {Omit<Word, "text">[]} */
  const runs = [];
  for (const { node, start, end } of words) {
    const last = runs.at(-1);
    if (last && last.node === node) last.end = end;
    else runs.push({ node, start, end });
  }
  return runs;
}
