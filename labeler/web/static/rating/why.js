// Why: reasons to tick and a comment for a vote that was cast, if the rater likes.

import { MAX_COMMENT_CHARS } from "../shared/bounds.js";
import { Dialog, button } from "../shared/dialog.js";
import { element, setText } from "../shared/dom.js";
import { choiceText } from "./words.js";

export class Why extends Dialog {
  #guide;
  #lead = element("p", { class: "lead" });
  #prompt = element("p", { class: "quote", dir: "auto" });
  #tags = element("fieldset", { class: "tags" });
  #comment = element("textarea", { id: "why-comment", rows: "3", maxlength: MAX_COMMENT_CHARS, dir: "auto" });
  #vote = null;
  #onSave = null;

  constructor(guide) {
    super("why", "Why?");
    this.#guide = guide;
    const save = button("Save", () => this.#save(), { class: "main" });
    this.body.append(
      this.#lead,
      this.#prompt,
      this.#tags,
      element("label", { for: "why-comment" }, "In your own words (optional)"),
      this.#comment,
      element("p", { class: "buttons" }, save, button("Cancel", () => this.close())),
    );
    this.node.addEventListener("keydown", (event) => this.#key(event));
  }

  /** `vote`: { vote_id, choice, strength, prompt }. `onSave` gets { reasons, comment }. */
  ask(vote, onSave) {
    this.#vote = vote;
    this.#onSave = onSave;
    setText(this.#lead, `You chose: ${choiceText(vote.choice, vote.strength)}.`);
    setText(this.#prompt, vote.prompt);
    this.#comment.value = "";
    this.#offer(vote.choice === "skip" ? this.#guide.tags.skipReasons : this.#guide.tags.reasons);
    this.open();
  }

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

  /** Digits tick, Enter saves; in the comment, Ctrl and Enter do. */
  #key(event) {
    const writes = event.target === this.#comment;
    const isOnButton = event.target.tagName === "BUTTON";
    if (event.key === "Enter" && (writes ? event.ctrlKey || event.metaKey : !isOnButton)) {
      event.preventDefault();
      this.#save();
    } else if (!writes && /^[1-9]$/.test(event.key)) {
      const box = this.#tags.querySelectorAll("input")[Number(event.key) - 1];
      if (box) box.checked = !box.checked;
    }
  }

  #save() {
    const reasons = [...this.#tags.querySelectorAll("input:checked")].map((box) => box.value);
    const comment = this.#comment.value.trim() || null;
    this.close();
    if (reasons.length || comment) this.#onSave({ reasons, comment });
  }
}
