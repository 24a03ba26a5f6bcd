// Which words two texts do not share: the rest of a longest common subsequence, marked with <mark>.

const MAX_CELLS = 6_000_000; // of the table: two texts of about 2,400 words
const MIN_SHARED = 0.15; // of the shorter text; below, marks would cover nearly everything
// A word; one sign of a script that writes no spaces between words; any other sign.
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]|[\p{L}\p{N}\p{M}_'’]+|[^\s]/gu;

/** Mark in both elements the words that the other lacks. Returns why nothing is marked, or "". */
export function markDifferences(left, right) {
  const [first, second] = [wordsOf(left), wordsOf(right)];
  const shared = common(texts(first), texts(second));
  if (!shared) return "These replies are too long to compare word by word.";
  const shorter = Math.min(first.length, second.length);
  if (shared.count < MIN_SHARED * shorter) return "These replies have hardly a word in common.";
  mark(first, shared.left);
  mark(second, shared.right);
  return "";
}

/** Which words of two lists are in a longest common subsequence: { left, right, count }, or null. */
export function common(first, second) {
  const left = new Uint8Array(first.length);
  const right = new Uint8Array(second.length);
  let count = 0;
  const keep = (i, j) => {
    left[i] = right[j] = 1;
    count += 1;
  };
  let start = 0;
  let [end, other] = [first.length, second.length];
  while (start < end && start < other && first[start] === second[start]) keep(start, start++);
  while (end > start && other > start && first[end - 1] === second[other - 1]) keep(--end, --other);
  const [height, width] = [end - start, other - start];
  if ((height + 1) * (width + 1) > MAX_CELLS) return null;
  const table = longest(first, second, start, height, width);
  for (let i = 0, j = 0; i < height && j < width; ) {
    const here = i * (width + 1) + j;
    if (first[start + i] === second[start + j]) keep(start + i++, start + j++);
    else if (table[here + width + 1] >= table[here + 1]) i += 1;
    else j += 1;
  }
  return { left, right, count };
}

/** Row by row: how long the longest common subsequence from (i, j) on is. */
function longest(first, second, start, height, width) {
  const row = width + 1;
  const table = new Uint16Array((height + 1) * row);
  for (let i = height - 1; i >= 0; i--) {
    for (let j = width - 1; j >= 0; j--) {
      const here = i * row + j;
      table[here] =
        first[start + i] === second[start + j]
          ? table[here + row + 1] + 1
          : Math.max(table[here + row], table[here + 1]);
    }
  }
  return table;
}

/** Every word below an element: { node, start, end, text }. */
function wordsOf(element) {
  const words = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    for (const found of node.data.matchAll(WORD)) {
      words.push({ node, start: found.index, end: found.index + found[0].length, text: found[0] });
    }
  }
  return words;
}

function texts(words) {
  return words.map((word) => word.text);
}

/** Wrap runs of words that are not shared, last ones first, so that earlier places stay right. */
function mark(words, shared) {
  const runs = [];
  words.forEach((word, place) => {
    if (shared[place]) return;
    const last = runs.at(-1);
    if (last && last.place === place - 1 && last.node === word.node) {
      last.end = word.end;
      last.place = place;
    } else runs.push({ node: word.node, start: word.start, end: word.end, place });
  });
  for (const { node, start, end } of runs.reverse()) {
    node.splitText(end);
    const marked = node.splitText(start);
    const wrap = document.createElement("mark");
    marked.replaceWith(wrap);
    wrap.append(marked);
  }
}
