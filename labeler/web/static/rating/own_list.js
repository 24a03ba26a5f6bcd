// @ts-check
// The row above the prompt: the button for a prompt of one's own, and how far each one is.

import { button } from "../shared/dialog.js";
import { element, setText } from "../shared/dom.js";
import { progressBar } from "../shared/progress.js";

const MAX_NAME_CHARS = 60;
/** @type {Record<string, string>} */
const ANNOUNCED = {
  ready: "The replies to your prompt are ready. They come after this pair; press O to see them now.",
  failed: "Your prompt was not answered.",
};

/** @typedef {import("./own_prompts.js").Ask} Ask */
/** What a rater can do with their prompts, by their ids.
 *
 * @typedef {{ open: () => void, show: (id: string) => void, again: (id: string) => void, dismiss: (id: string) => void }} Actions */

export class OwnList {
  #actions;
  #open = element("button", { id: "open-ask", type: "button", "aria-keyshortcuts": "O" }, "Try your own prompt");
  #items = element("ul", { class: "asks", "aria-label": "Your prompts" });
  #news = element("p", { class: "sr-only", role: "status" });
  /** @type {Map<string, Row>} */
  #rows = new Map();

  /** `actions`: open, and by id show, again and dismiss.
   *
   * @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.#open.append(element("kbd", { "aria-hidden": "true" }, "O"));
    this.#open.addEventListener("click", () => actions.open());
  }

  get nodes() {
    return [this.#open, this.#items, this.#news];
  }

  /** `before`: what comes before those that wait, if anything does.
   *
   * @param {Ask[]} asks
   * @param {string} before */
  show(asks, before) {
    const known = new Set(asks.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (known.has(id)) continue;
      if (row.node.contains(document.activeElement)) this.#open.focus();
      row.node.remove();
      this.#rows.delete(id);
    }
    for (const ask of asks) this.#row(ask.id).show(ask, before);
    this.#items.hidden = asks.length === 0;
  }

  /** @param {Ask} ask */
  announce({ state, reason }) {
    if (state in ANNOUNCED) setText(this.#news, `${ANNOUNCED[state]} ${reason ?? ""}`.trim());
  }

  /** @param {string} id */
  #row(id) {
    const known = this.#rows.get(id);
    if (known) return known;
    const row = new Row(id, this.#actions);
    this.#rows.set(id, row);
    this.#items.append(row.node);
    return row;
  }
}

class Row {
  node = element("li");
  #name = element("span", { class: "name", dir: "auto" });
  #says = element("span", { class: "says" });
  #bar = progressBar("Tokens of both replies");
  #show;
  #again;
  #dismiss;

  /**
   * @param {string} id
   * @param {Actions} actions */
  constructor(id, actions) {
    this.#show = button("Show it now", () => actions.show(id), { class: "main" });
    this.#again = button("Change it", () => actions.again(id));
    this.#dismiss = button("Dismiss", () => actions.dismiss(id));
    this.node.append(this.#name, this.#says, this.#bar.node, this.#show, this.#again, this.#dismiss);
  }

  /**
   * @param {Ask} ask
   * @param {string} before */
  show(ask, before) {
    setText(this.#name, brief(ask.text));
    setText(this.#says, says(ask, before));
    this.node.dataset.state = ask.state;
    this.#bar.node.hidden = ask.state !== "sampling";
    this.#bar.fill(ask.done, ask.most);
    this.#show.hidden = ask.state !== "ready";
    this.#again.hidden = this.#dismiss.hidden = ask.state !== "failed";
  }
}

/**
 * @param {Ask} ask
 * @param {string} before */
function says({ state, done, most, reason }, before) {
  if (state === "unsent") return "Not sent yet";
  if (state === "waiting") return before ? `Waiting. ${before}` : "It is taken up in a moment";
  if (state === "sampling") return most ? `${done} of at most ${most} tokens` : "Reading your prompt";
  return state === "ready" ? "Ready: next after this pair" : (reason ?? "");
}

/** @param {string} text */
function brief(text) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > MAX_NAME_CHARS ? `${line.slice(0, MAX_NAME_CHARS)}…` : line || "Your prompt";
}
