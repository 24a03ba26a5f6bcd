// @ts-check
// Edit a reply into a better one: saving it is a vote for that reply, and the text goes with it.
//
// What is typed is kept in this tab until it is saved or discarded, so that neither a reload nor a
// wrong key loses it.

import { MAX_EDIT_CHARS } from "../shared/bounds.js";
import { isComposing } from "../shared/composing.js";
import { Dialog, button } from "../shared/dialog.js";
import { byId, element, setText } from "../shared/dom.js";
import { keep, kept } from "../shared/kept.js";
import { digitOf } from "./keys.js";

const DRAFT = "livedpo.draft"; // { leaseId, side, text }
/** @typedef {"left" | "right"} Side */

/** @type {Side[]} */
const SIDES = ["left", "right"];
const NAMES = { left: "Reply 1", right: "Reply 2" };

export class Editor extends Dialog {
  #asked = element("p", { class: "asked", dir: "auto" });
  /** @type {Record<Side, HTMLElement>} */
  #shown = { left: replyText("left"), right: replyText("right") };
  #form = element("div");
  #label = element("label", { for: "edit-text" });
  #text = element("textarea", { id: "edit-text", rows: "6", dir: "auto", spellcheck: "true" });
  #remark = element("p", { class: "remark", role: "status" });
  #save = button("Save and choose it", () => this.#finish(), { class: "main" });
  #leave = element("p", { class: "leave", role: "alert" });
  #leaseId = "";
  /** @type {Record<Side, string>} As they were sampled. */
  #texts = { left: "", right: "" };
  /** @type {Side | null} */
  #side = null;
  /** @type {(side: Side, text: string | null) => void} */
  #onSave = () => {};

  constructor() {
    super("edit", "Edit the better reply");
    const sides = SIDES.map((side, place) => {
      const key = element("kbd", { "aria-hidden": "true" }, String(place + 1));
      const take = button(`Edit ${NAMES[side].toLowerCase()} `, () => this.#take(side), { id: `edit-${side}` });
      take.append(key);
      return element("section", {}, element("h3", {}, NAMES[side]), this.#shown[side], take);
    });
    const keys = element("span", { class: "hint" }, element("kbd", {}, "Ctrl"), " + ", element("kbd", {}, "Enter"));
    const buttons = element("p", { class: "buttons" }, this.#save, keys, button("Cancel", () => this.close()));
    this.#form.append(this.#label, this.#text, this.#remark, buttons);
    const intro = "Which reply is closer? Edit it until you would send it. It counts as your choice, and the policy learns from your text.";
    const both = element("div", { class: "both" }, ...sides);
    this.body.append(element("p", {}, intro), this.#asked, both, this.#form, this.#leave);
    this.#text.addEventListener("input", () => this.#typed());
    this.node.addEventListener("keydown", (event) => this.#key(event));
    this.guard(() => this.#mayLeave());
  }

  /** `onSave` gets the side and the text, null if nothing was changed.
   *
   * @param {Pick<import("./view.js").Pair, "leaseId" | "line" | "replies">} pair
   * @param {(side: Side, text: string | null) => void} onSave */
  edit({ leaseId, line, replies }, onSave) {
    this.#leaseId = leaseId;
    this.#texts = replies.texts;
    this.#onSave = onSave;
    setText(this.#asked, line);
    for (const side of SIDES) {
      setText(this.#shown[side], this.#texts[side]);
      this.#shown[side].scrollTop = 0;
      byId(`edit-${side}`).setAttribute("aria-pressed", "false");
    }
    this.#side = null;
    this.#form.hidden = true;
    setText(this.#leave, "");
    this.open();
    const draft = keptDraft();
    if (draft?.leaseId === leaseId) {
      this.#take(draft.side, draft.text);
      setText(this.#remark, "This is what you typed earlier.");
    }
  }

  /**
   * @param {Side} side
   * @param {string} text */
  #take(side, text = this.#texts[side]) {
    if (this.#side === side) return this.#text.focus();
    if (this.#isChanged && !this.#mayLeave(() => this.#take(side))) return;
    this.#side = side;
    for (const name of SIDES) {
      byId(`edit-${name}`).setAttribute("aria-pressed", String(name === side));
    }
    setText(this.#label, `${NAMES[side]}, as plain text`);
    this.#text.value = text;
    this.#form.hidden = false;
    this.#check();
    this.#text.focus();
    this.#text.setSelectionRange(0, 0);
    this.#text.scrollTop = 0;
  }

  get #isChanged() {
    return this.#side !== null && this.#text.value !== this.#texts[this.#side];
  }

  #typed() {
    keepDraft(this.#isChanged ? { leaseId: this.#leaseId, side: this.#side, text: this.#text.value } : null);
    setText(this.#leave, "");
    this.#check();
  }

  #check() {
    const { length } = this.#text.value;
    const isBlank = !this.#text.value.trim();
    const over = `${length.toLocaleString("en")} characters; at most ${MAX_EDIT_CHARS.toLocaleString("en")} can be saved.`;
    setText(this.#remark, length > MAX_EDIT_CHARS ? over : isBlank ? "An empty reply cannot be saved." : "");
    this.#save.setAttribute("aria-disabled", String(length > MAX_EDIT_CHARS || isBlank));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (isComposing(event)) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && this.#side) {
      event.preventDefault();
      this.#finish();
    }
    if (event.target === this.#text || event.ctrlKey || event.altKey || event.metaKey) return;
    const side = SIDES[(digitOf(event) ?? 0) - 1];
    if (side) {
      event.preventDefault(); // else the digit is typed into the field that it opens
      this.#take(side);
    }
  }

  #finish() {
    if (this.#save.getAttribute("aria-disabled") === "true") return;
    const [side, text] = [this.#side, this.#isChanged ? this.#text.value : null];
    if (!side) return;
    this.#forget();
    this.close();
    this.#onSave(side, text);
  }

  /** With changes, ask first; `then` is what comes after they are discarded. */
  #mayLeave(then = () => this.close()) {
    if (!this.#isChanged) return true;
    const discard = button("Discard my changes", () => {
      this.#forget();
      then();
    });
    this.#leave.replaceChildren("Your changes have not been saved. ", discard);
    discard.focus();
    return false;
  }

  #forget() {
    keepDraft(null);
    setText(this.#leave, "");
    if (this.#side) this.#text.value = this.#texts[this.#side];
    this.#side = null;
  }
}

/** Where a reply stands beside the other one, as plain text.
 *
 * @param {Side} side */
function replyText(side) {
  return element("p", { class: "text", dir: "auto", tabindex: "0", role: "group", "aria-label": NAMES[side] });
}

/** Remember an edit that was taken back with its vote, for when its pair is edited again.
 *
 * @param {{ leaseId: string, side: Side | null, text: string } | null} draft */
export function keepDraft(draft) {
  keep(DRAFT, draft, "sessionStorage");
}

function keptDraft() {
  return kept(DRAFT, null, "sessionStorage");
}
