// @ts-check
// The labels page: a list that can be searched and filtered, and one opened pair beside it.
//
// Filters stand in the address, the opened pair behind its #, so that both can be sent to others.
// Up and down move in the list, Enter opens, Escape goes back to it.

import { at } from "../shared/base.js";
import { byId, setText } from "../shared/dom.js";
import { fillHeader } from "../shared/header.js";
import { send } from "../shared/send.js";
import { toast } from "../shared/toast.js";
import { whoAmI } from "../shared/who.js";
import { Filters } from "./filters.js";
import { lineNode } from "./line.js";
import { Opened } from "./opened.js";

class Labels {
  #filters = new Filters(byId("filters"), () => this.#search());
  #opened = new Opened(byId("opened"), { close: () => this.#close(), changed: () => this.#refresh() });
  #list = byId("list");
  #more = byId("more");
  #cursor = null;
  #asked = 0;
  #shown = 0;

  start() {
    this.#more.addEventListener("click", () => this.#loadMore());
    document.addEventListener("keydown", (event) => this.#move(event));
    this.#list.addEventListener("click", (event) => this.#choose(event));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) this.#close();
    });
    window.addEventListener("hashchange", () => this.#follow());
    this.#follow();
    return this.#search();
  }

  async #search() {
    const number = ++this.#asked;
    history.replaceState(null, "", at(`/labels${this.#filters.query()}${location.hash}`));
    try {
      const found = await send(`/labels/pairs${this.#filters.query()}`);
      if (number !== this.#asked) return;
      this.#filters.count(found.facets);
      this.#cursor = found.cursor;
      this.#list.replaceChildren(...found.pairs.map(lineNode));
      this.#shown = found.pairs.length;
      this.#tell();
      this.#mark();
    } catch (error) {
      this.#complain(error);
    }
    document.body.dataset.ready = "true";
  }

  async #loadMore() {
    const number = this.#asked;
    try {
      const found = await send(`/labels/pairs${this.#filters.query({ cursor: this.#cursor })}`);
      if (number !== this.#asked) return;
      this.#cursor = found.cursor;
      const lines = found.pairs.map(lineNode);
      this.#list.append(...lines);
      this.#shown += lines.length;
      this.#tell();
      this.#mark();
      lines[0]?.querySelector("a").focus();
    } catch (error) {
      this.#complain(error);
    }
  }

  /** The list once more, where it stands: a pair has changed. */
  async #refresh() {
    await this.#search();
  }

  #tell() {
    this.#more.hidden = this.#cursor === null;
    const many = this.#cursor === null ? "" : "the newest ";
    const pairs = this.#shown === 1 ? "1 pair" : `${many}${this.#shown} pairs`;
    const none = this.#filters.isSet() ? "No pairs match. Clear a filter." : "No one has voted yet.";
    setText(byId("count"), this.#shown ? `Showing ${pairs}, most recent vote first` : none);
  }

  /** @param {any} error */
  #complain(error) {
    toast(error.status ? error.message : "The service did not answer. Try again in a moment.");
  }

  /** @param {MouseEvent} event */
  #choose(event) {
    const line = lineOf(event);
    if (!line || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    if (location.hash === line.hash) this.#follow();
    else location.hash = line.hash;
  }

  /** From the line that has the focus; where nothing has it, from the top or the opened pair.
   *
   * @param {KeyboardEvent} event */
  #move(event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const line = lineOf(event);
    if (!step || !(line || event.target === document.body)) return;
    event.preventDefault();
    const lines = this.#lines;
    const from = line ?? lines.find((each) => each.getAttribute("aria-current") === "true");
    const next = from ? lines[lines.indexOf(from) + step] : lines[0];
    if (next) next.focus();
    else if (step > 0 && !this.#more.hidden) this.#more.focus();
  }

  /** The links of the list.
   *
   * @returns {HTMLAnchorElement[]} */
  get #lines() {
    return [...this.#list.querySelectorAll("a.line")].filter((each) => each instanceof HTMLAnchorElement);
  }

  #follow() {
    const pair = /^#pair=(\d+)$/.exec(location.hash)?.[1];
    document.body.classList.toggle("has-opened", Boolean(pair));
    if (pair) this.#opened.open(Number(pair));
    else this.#opened.nothing();
    this.#mark();
  }

  #close() {
    if (!location.hash) return;
    const opened = location.hash;
    history.pushState(null, "", location.pathname + location.search);
    this.#follow();
    const line = this.#lines.find((each) => each.hash === opened);
    (line ?? this.#list).focus();
  }

  #mark() {
    for (const line of this.#lines) {
      if (line.hash === location.hash) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
    }
  }
}

/** The line of the list that an event is about, or null.
 *
 * @param {Event} event
 * @returns {HTMLAnchorElement | null} */
function lineOf({ target }) {
  return target instanceof Element ? target.closest("a.line") : null;
}

const me = await whoAmI();
fillHeader(me);
new Labels().start();
