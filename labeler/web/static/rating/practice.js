// @ts-check
// Three practice pairs for newcomers: a dialog of its own. Nothing in it is stored or sent.

import { Dialog, button } from "../shared/dialog.js";
import { element, setText } from "../shared/dom.js";
import { putText, textUnder } from "../shared/kept.js";
import { actionOf } from "./keys.js";
import { LESSONS } from "./lessons.js";

const DONE = "livedpo.practised";
/** @type {[import("./server.js").Choice, number, string, string][]} */
const VOTES = [
  ["left", 1, "Reply 1", "1"],
  ["right", 1, "Reply 2", "2"],
  ["tie", 1, "Tie", "T"],
  ["both_bad", 1, "Both bad", "B"],
];

export class Practice extends Dialog {
  #person;
  #step = element("p", { class: "step" });
  #task = element("p", { class: "task", role: "status" });
  #pair = element("div", { class: "pair" });
  #buttons = element("p", { class: "buttons" });
  /** @type {HTMLElement | null} */
  #offer = null;
  #place = 0;
  #isVoted = false;

  /** `person`: whose first visit it is.
   *
   * @param {number | string} person */
  constructor(person) {
    super("practice", "Practice");
    this.#person = person;
    this.body.append(this.#step, this.#pair, this.#task, this.#buttons);
    this.node.addEventListener("keydown", (event) => this.#key(event));
    this.node.addEventListener("close", () => this.#remember());
  }

  start() {
    this.#offer?.remove();
    this.open();
    this.#show(0);
  }

  /** A card that stands in nobody's way, for somebody who has neither voted nor practised here.
   *
   * @param {HTMLElement} place */
  offer(place) {
    if (this.#isKnown || this.#offer) return;
    const label = "New here? Three practice pairs show you the keys in under a minute. Nothing is stored.";
    const offer = element("section", { id: "welcome", "aria-label": "Practice" }, element("p", {}, label));
    const decline = () => {
      this.#remember();
      offer.remove();
    };
    this.#offer = offer;
    offer.append(button("Practise", () => this.start(), { class: "main" }), button("No, thanks", decline));
    place.before(offer);
  }

  /** Somebody who votes needs no practice any more. */
  withdraw() {
    this.#offer?.remove();
  }

  get #isKnown() {
    return textUnder(`${DONE}.${this.#person}`) !== null; // without storage it could not be turned down for good
  }

  #remember() {
    putText(`${DONE}.${this.#person}`, "1");
  }

  /**
   * @param {number} place
   * @param {string} task */
  #show(place, task = LESSONS[place].task) {
    this.#place = place;
    this.#isVoted = false;
    const { prompt, left, right } = LESSONS[place];
    setText(this.#step, `Practice pair ${place + 1} of ${LESSONS.length} – nothing is stored or sent`);
    this.#pair.replaceChildren(
      element("div", { class: "prompt" }, element("h3", {}, "Prompt"), element("p", {}, prompt)),
      element("div", { class: "reply" }, element("h3", {}, "Reply 1"), element("p", {}, left)),
      element("div", { class: "reply" }, element("h3", {}, "Reply 2"), element("p", {}, right)),
    );
    this.#tell(task, ...VOTES.map(([choice, strength, name, key]) => this.#choice(name, key, () => this.#vote(choice, strength))));
  }

  /**
   * @param {string} name
   * @param {string} key
   * @param {() => void} onClick */
  #choice(name, key, onClick) {
    const made = button(`${name} `, onClick);
    made.append(element("kbd", { "aria-hidden": "true" }, key));
    return made;
  }

  /**
   * @param {string} task
   * @param {...Node} buttons */
  #tell(task, ...buttons) {
    setText(this.#task, task);
    this.#buttons.replaceChildren(...buttons);
  }

  /**
   * @param {import("./server.js").Choice} choice
   * @param {number} strength */
  #vote(choice, strength) {
    if (this.#isVoted) return;
    const lesson = LESSONS[this.#place];
    if (!lesson.votes.includes(choice)) return this.#tell(lesson.hint, ...this.#buttons.children);
    this.#isVoted = true;
    const praise = strength === 1 && lesson.weaker ? lesson.weaker : lesson.praise;
    if (lesson.undo) return this.#tell(praise, this.#choice("Undo", "U", () => this.#undo()));
    this.#tell(praise, this.#choice("Next", "Enter", () => this.#next()));
    this.#buttons.querySelector("button")?.focus();
  }

  /** The last lesson ends with an undo: the pair is back, and that is all there is to it. */
  #undo() {
    if (!this.#isVoted || !LESSONS[this.#place].undo) return;
    this.#tell("Your vote is undone and its pair is back. That is all there is to it. From now on, votes count.", this.#choice("Start rating", "Enter", () => this.close()));
    this.#buttons.querySelector("button")?.focus();
  }

  #next() {
    this.#show(this.#place + 1);
    this.node.querySelector("h2")?.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const action = actionOf(event);
    if (action?.kind === "vote") this.#vote(action.choice, action.strength);
    else if (action?.kind === "undo") this.#undo();
  }
}
