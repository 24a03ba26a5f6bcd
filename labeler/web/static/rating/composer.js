// @ts-check
// Where a rater types a prompt of their own, or goes on with the reply that they preferred.

import { KEPT } from "../shared/base.js";
import { MAX_TEXT_CHARS } from "../shared/bounds.js";
import { isComposing } from "../shared/composing.js";
import { button } from "../shared/dialog.js";
import { element, setText } from "../shared/dom.js";
import { keep, kept } from "../shared/kept.js";

/** @typedef {import("./own_prompts.js").Continued} Continued */

export class Composer {
  node = element("form", { class: "composer", hidden: "" });
  #draft;
  #onSend;
  #text = element("textarea", { id: "ask-text", rows: "3", dir: "auto", maxlength: MAX_TEXT_CHARS });
  #label = element("label", { for: "ask-text" }, "Your prompt");
  #ways = element("div", { class: "ways", role: "group", "aria-label": "What the prompt starts from" });
  #fresh = button("New conversation", () => this.#continue(false));
  #onward = button("", () => this.#continue(true));
  #before = element("div", { class: "before", tabindex: "0", role: "region", "aria-label": "The conversation so far" });
  #problem = element("p", { class: "remark", role: "alert" });
  /** @type {Continued | null} What can be continued. */
  #last = null;
  #isContinuing = false;
  /** @type {HTMLElement | null} What had the focus. */
  #origin = null;

  /** `raterId`: whose draft is kept in this browser. `onSend` gets the text, and the vote to continue from or null.
   *
   * @param {number} raterId
   * @param {(text: string, continues: string | null) => void} onSend */
  constructor(raterId, onSend) {
    this.#draft = `${KEPT}.ask-draft.${raterId}`;
    this.#onSend = onSend;
    const send = element("button", { type: "submit", class: "main" }, "Ask");
    const hint = "Press Enter to ask, Shift + Enter for a new line. The live model replies twice. Only you see the replies, and your vote counts like any other.";
    const buttons = element("p", { class: "buttons" }, send, button("Cancel", () => this.close()));
    this.#ways.append(this.#fresh, this.#onward);
    this.node.append(this.#ways, this.#before, this.#label, this.#text, element("p", { class: "hint" }, hint), this.#problem, buttons);
    this.node.addEventListener("submit", (event) => this.#submit(event));
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#text.addEventListener("input", () => this.#typed());
    this.node.addEventListener("keydown", (event) => event.key === "Escape" && !isComposing(event) && this.close());
    this.#text.value = kept(this.#draft, "");
  }

  /** `last`: the vote that can be continued, or null.
   *
   * @param {Continued | null} last
   * @param {string | null} text */
  open(last, text = null) {
    if (this.node.hidden) this.#origin = /** @type {HTMLElement | null} */ (document.activeElement);
    this.node.hidden = false;
    if (text !== null) this.#text.value = text;
    this.offer(last);
    this.#text.focus();
  }

  close() {
    this.node.hidden = true;
    if (this.#origin?.isConnected && this.#origin !== document.body) this.#origin.focus({ preventScroll: true });
  }

  /** Another vote can be continued now. What is being continued stays as long as the form is open.
   *
   * @param {Continued | null} last */
  offer(last) {
    if (!this.node.hidden && this.#isContinuing && last) return;
    this.#last = last;
    this.#ways.hidden = !last;
    if (last) setText(this.#onward, `Continue with ${last.name}`);
    this.#continue(Boolean(last) && this.#isContinuing);
  }

  /** @param {boolean} isContinuing */
  #continue(isContinuing) {
    this.#isContinuing = isContinuing;
    this.#fresh.setAttribute("aria-pressed", String(!isContinuing));
    this.#onward.setAttribute("aria-pressed", String(isContinuing));
    this.#before.hidden = !isContinuing;
    if (!isContinuing || !this.#last) return;
    const { name, prompt, reply } = this.#last;
    const text = element("div", { class: "text reply", dir: "auto" }, reply);
    this.#before.replaceChildren(prompt.cloneNode(true), element("p", { class: "role" }, `${name}, your choice`), text);
    this.#before.scrollTop = this.#before.scrollHeight;
    this.#text.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const isPhone = matchMedia("(pointer: coarse)").matches; // its Enter key starts a line
    const isPlain = event.key === "Enter" && !event.shiftKey && !isComposing(event) && !isPhone;
    if (isPlain) this.#submit(event);
  }

  #typed() {
    setText(this.#problem, "");
    keep(this.#draft, this.#text.value || null);
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    const text = this.#text.value.replaceAll("\0", "").trim();
    if (!text) return setText(this.#problem, "Type something first.");
    this.#onSend(text, this.#isContinuing && this.#last ? this.#last.voteId : null);
    this.#text.value = "";
    this.#typed();
    this.#isContinuing = false;
    this.close();
  }
}
