// @ts-check
// Why: reasons to tick and a comment for a vote that was cast, if the rater likes.
//
// What is ticked and typed is kept in this browser until it is saved, however the dialog ends.

import { KEPT } from "../shared/base.js";
import { MAX_COMMENT_CHARS } from "../shared/bounds.js";
import { isComposing } from "../shared/composing.js";
import { Dialog, button } from "../shared/dialog.js";
import { element, setText } from "../shared/dom.js";
import { keep, kept } from "../shared/kept.js";
import { digitOf } from "./keys.js";
import { choiceText } from "./words.js";

const MAX_DRAFTS = 10;

/** A vote that reasons are asked for, and what is said of it.
 *
 * @typedef {{ vote_id: string, choice: import("./server.js").Choice, strength: number, prompt: string }} Explainable
 * @typedef {{ reasons: string[], comment: string | null }} Said */

export class Why extends Dialog {
  #guide;
  #key;
  #lead = element("p", { class: "lead" });
  #prompt = element("p", { class: "quote", dir: "auto" });
  #tags = element("fieldset", { class: "tags" });
  #comment = element("textarea", { id: "why-comment", rows: "3", maxlength: MAX_COMMENT_CHARS, dir: "auto" });
  #remark = element("p", { class: "remark", role: "status" });
  /** @type {Explainable} */
  #vote = { vote_id: "", choice: "tie", strength: 1, prompt: "" };
  /** @type {(said: Said) => void} */
  #onSave = () => {};

  /** `owner`: whose drafts are kept, and at which service.
   *
   * @param {import("./guide.js").Guide} guide
   * @param {string} owner */
  constructor(guide, owner) {
    super("why", "Why?");
    this.#guide = guide;
    this.#key = `${KEPT}.why.${owner}`;
    const save = button("Save", () => this.#save(), { class: "main" });
    this.body.append(
      this.#lead,
      this.#prompt,
      this.#tags,
      element("label", { for: "why-comment" }, "In your own words (optional)"),
      this.#comment,
      this.#remark,
      element("p", { class: "buttons" }, save, button("Cancel", () => this.close())),
    );
    this.node.addEventListener("keydown", (event) => this.#press(event));
    this.body.addEventListener("input", () => this.#keepDraft());
  }

  /** The vote of the newest draft, or null. */
  get unfinished() {
    return this.#drafts.at(-1)?.vote ?? null;
  }

  /** `vote`: { vote_id, choice, strength, prompt }. `onSave` gets { reasons, comment }.
   *
   * @param {Explainable} vote
   * @param {(said: Said) => void} onSave */
  ask(vote, onSave) {
    this.#vote = vote;
    this.#onSave = onSave;
    setText(this.#lead, `You chose: ${choiceText(vote.choice, vote.strength)}.`);
    setText(this.#prompt, vote.prompt);
    this.#offer(vote.choice === "skip" ? this.#guide.tags.skipReasons : this.#guide.tags.reasons);
    const draft = this.#drafts.find((one) => one.vote.vote_id === vote.vote_id);
    this.#comment.value = draft?.comment ?? "";
    for (const box of this.#boxes) box.checked = draft?.reasons.includes(box.value) ?? false;
    setText(this.#remark, draft ? "This is what you began earlier." : "");
    this.open();
  }

  get #boxes() {
    return [...this.#tags.querySelectorAll("input")];
  }

  get #said() {
    const reasons = this.#boxes.filter((box) => box.checked).map((box) => box.value);
    return { reasons, comment: this.#comment.value };
  }

  /** @returns {{ vote: Explainable, reasons: string[], comment: string }[]} */
  get #drafts() {
    return kept(this.#key, []);
  }

  #keepDraft({ reasons, comment } = this.#said) {
    const drafts = this.#drafts.filter((one) => one.vote.vote_id !== this.#vote.vote_id);
    if (reasons.length || comment) drafts.push({ vote: this.#vote, reasons, comment });
    keep(this.#key, drafts.length ? drafts.slice(-MAX_DRAFTS) : null);
  }

  /** @param {string[]} tags */
  #offer(tags) {
    const boxes = tags.map((tag, place) => {
      const box = element("input", { type: "checkbox", value: tag });
      const key = place < 9 ? [element("kbd", { "aria-hidden": "true" }, String(place + 1))] : [];
      return element("label", {}, box, tag, ...key);
    });
    const legend = element("legend", {}, this.#vote.choice === "skip" ? "Why did you skip it?" : "What made the difference?");
    this.#tags.replaceChildren(legend, ...boxes);
    this.#tags.hidden = boxes.length === 0;
  }

  /** Digits tick, Enter saves; in the comment, Ctrl and Enter do.
   *
   * @param {KeyboardEvent} event */
  #press(event) {
    if (isComposing(event)) return;
    const writes = event.target === this.#comment;
    const isOnButton = event.target instanceof HTMLButtonElement;
    if (event.key === "Enter" && (writes ? event.ctrlKey || event.metaKey : !isOnButton)) {
      event.preventDefault();
      this.#save();
    } else if (!writes && !event.ctrlKey && !event.altKey && !event.metaKey) {
      this.#boxes[(digitOf(event) ?? 0) - 1]?.click();
    }
  }

  #save() {
    const { reasons, comment: typed } = this.#said;
    const comment = typed.trim() || null;
    this.#keepDraft({ reasons: [], comment: "" });
    this.close();
    if (reasons.length || comment) this.#onSave({ reasons, comment });
  }
}
