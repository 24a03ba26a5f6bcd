// @ts-check
// Small helpers around the DOM.

/** The element of this id, which the page has.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} kind  What it is, where more is wanted of it than of any element.
 * @returns {T} */
export function byId(id, kind = /** @type {new () => T} */ (HTMLElement)) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} "${id}"`);
  return found;
}

/** Make an element: element("p", { class: "note" }, "text", child).
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]} */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** A name and its value in a definition list.
 *
 * @param {[string, string]} pair */
export function row([name, value]) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, value));
}

/** Set a text only if it differs, so that screen readers are not told the same thing twice.
 *
 * @param {Node} node
 * @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Draw anew what is in a place. If something in it has the focus, then what has the same label gets
 *  it, or else what `otherwise` finds.
 *
 * @param {HTMLElement} place
 * @param {() => void} draw
 * @param {() => HTMLElement | null | undefined} otherwise */
export function redraw(place, draw, otherwise) {
  const focused = document.activeElement;
  const hadFocus = place.contains(focused);
  const label = focused?.getAttribute("aria-label");
  draw();
  if (!hadFocus || place.contains(document.activeElement)) return;
  /** @type {NodeListOf<HTMLElement>} */
  const named = place.querySelectorAll("[aria-label]");
  const same = [...named].find((node) => node.getAttribute("aria-label") === label);
  (same ?? otherwise())?.focus();
}

/** A random id. (crypto.randomUUID exists on secure origins only.) */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** "1 vote", "2 votes".
 *
 * @param {number} count
 * @param {string} noun */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
