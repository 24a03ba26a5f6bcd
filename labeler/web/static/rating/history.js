// @ts-check
// A rater's own last votes, and the way back to each of them.

import { Dialog, button } from "../shared/dialog.js";
import { counted, element, setText } from "../shared/dom.js";
import { choiceText } from "./words.js";

const LOOK_MS = 100;
const MAX_LOOKS = 100;

/** @typedef {import("./server.js").PastVote} PastVote */

export class History extends Dialog {
  #server;
  #rating;
  #why;
  #lead = element("p", { class: "lead", role: "status" });
  #list = element("ol", { class: "votes" });

  /** @param {{ server: Pick<import("./server.js").Server, "history">, rating: import("./rating.js").Rating, why: import("./why.js").Why }} parts */
  constructor({ server, rating, why }) {
    super("history", "Your last votes");
    this.#server = server;
    this.#rating = rating;
    this.#why = why;
    this.body.append(this.#lead, this.#list);
  }

  async look() {
    this.#list.replaceChildren();
    setText(this.#lead, "One moment…");
    this.open();
    await this.#fill();
    if (!this.#rating.waiting) return;
    for (let look = 0; look < MAX_LOOKS && this.isOpen && this.#rating.waiting; look++) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    if (this.isOpen) await this.#fill(); // with what was on its way
  }

  async #fill() {
    try {
      const { votes } = await this.#server.history();
      setText(this.#lead, this.#summary(votes.length));
      this.#list.replaceChildren(...votes.map((vote) => this.#item(vote)));
    } catch {
      setText(this.#lead, "Your votes could not be loaded. Try again when the connection is back.");
    }
  }

  /** @param {number} count */
  #summary(count) {
    const waiting = this.#rating.waiting ? ` ${counted(this.#rating.waiting, "vote")} not sent yet.` : "";
    if (!count) return `You have not voted yet.${waiting}`;
    return `Newest first. A pair you take back comes up again, with its replies on the same sides.${waiting}`;
  }

  /** @param {PastVote} vote */
  #item(vote) {
    const said = element("p", { class: "said" }, element("strong", {}, capital(choiceText(vote.choice, vote.strength))), " · ", when(vote.at));
    const parts = [
      element("p", { class: "quote", dir: "auto" }, vote.prompt),
      said,
      ...(vote.reasons.length ? [element("p", { class: "reasons" }, ...vote.reasons.map((tag) => element("span", {}, tag)))] : []),
      ...(vote.comment ? [element("p", { class: "comment", dir: "auto" }, vote.comment)] : []),
      ...(vote.edit ? [edited(vote.edit)] : []),
      ...(vote.trained === null ? [] : [element("p", { class: "used" }, `Version ${vote.trained} has been trained since. If you take this vote back, later versions will not learn from it.`)]),
      this.#buttons(vote),
    ];
    return element("li", {}, ...parts);
  }

  /** @param {PastVote} vote */
  #buttons(vote) {
    const name = `: ${vote.prompt}`;
    const back = button("Take back", () => this.#takeBack(vote), { "aria-label": `Take back${name}` });
    const isOpen = !vote.reasons.length && !vote.comment;
    const why = button("Why?", () => this.#explain(vote), { "aria-label": `Say why${name}` });
    return element("p", { class: "buttons" }, back, ...(isOpen ? [why] : []));
  }

  /** @param {PastVote} vote */
  #takeBack(vote) {
    this.close();
    this.#rating.undo(vote.vote_id);
  }

  /** @param {PastVote} vote */
  #explain(vote) {
    this.close();
    this.#why.ask(vote, (said) => this.#rating.explain(vote.vote_id, said));
  }
}

/** @param {string} text */
function edited(text) {
  const body = element("pre", { class: "plain", dir: "auto" }, text);
  return element("details", {}, element("summary", {}, "Your edit"), body);
}

/** @param {number} at */
function when(at) {
  const date = new Date(1000 * at);
  return element("time", { datetime: date.toISOString(), title: date.toLocaleString() }, ago(Date.now() / 1000 - at));
}

/** @param {number} seconds */
function ago(seconds) {
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${counted(Math.floor(seconds / 60), "minute")} ago`;
  if (seconds < 86_400) return `${counted(Math.floor(seconds / 3600), "hour")} ago`;
  return `${counted(Math.floor(seconds / 86_400), "day")} ago`;
}

/** @param {string} text */
function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
