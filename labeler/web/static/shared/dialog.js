// @ts-check
// A modal dialog with a title and a close button. Esc and a click beside it close it, and the focus
// goes back to where it was. While one is open, the page's keys rest.

import { isComposing } from "./composing.js";
import { element } from "./dom.js";

export class Dialog {
  #dialog;
  #mayClose = () => true;
  body = element("div", { class: "inside" });

  /**
   * @param {string} id
   * @param {string} title */
  constructor(id, title) {
    const heading = element("h2", { id: `${id}-title`, tabindex: "-1" }, title);
    const close = button("Close", () => this.close(), { class: "close", "aria-label": `Close: ${title}` });
    // With a tabindex it keeps the focus, and so the keys, when somebody clicks on its text.
    this.#dialog = element("dialog", { id, class: "sheet", tabindex: "-1", "aria-labelledby": `${id}-title` });
    this.#dialog.append(element("header", {}, heading, close), this.body);
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.close();
    });
    this.#dialog.addEventListener("keydown", (event) => {
      event.stopPropagation(); // no key in here is meant for the page
      if (event.key !== "Escape") return;
      event.preventDefault(); // the browser's own way would close it on a second Esc, come what may
      if (!isComposing(event)) this.close();
    });
    this.#dialog.addEventListener("cancel", (event) => {
      event.preventDefault(); // the back gesture of a phone
      this.close();
    });
    document.body.append(this.#dialog);
  }

  get isOpen() {
    return this.#dialog.open;
  }

  get node() {
    return this.#dialog;
  }

  /** `mayClose`: asked before the rater closes it.
   *
   * @param {() => boolean} mayClose */
  guard(mayClose) {
    this.#mayClose = mayClose;
  }

  open() {
    if (this.isOpen) return;
    this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
    this.#dialog.querySelector("h2")?.focus(); // so that it is read out, and no button is at hand by accident
  }

  close() {
    if (!this.#mayClose()) return;
    this.#dialog.close();
    // Until the next frame the focus may stay in here, and take the keys that are meant for the page.
    const { activeElement: focused } = document;
    if (focused instanceof HTMLElement && this.#dialog.contains(focused)) focused.blur();
  }
}

/**
 * @param {string} text
 * @param {() => void} onClick
 * @param {Record<string, string>} attributes */
export function button(text, onClick, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", onClick);
  return made;
}

/** Whether any dialog is open. */
export function isBusy() {
  return document.querySelector("dialog[open]") !== null;
}
