// @ts-check
// What is on screen: the pair, the waiting state, the saved mark, complaints.

import { MAX_LINE_CHARS } from "../shared/bounds.js";
import { byId, counted, element, setText } from "../shared/dom.js";
import { button } from "../shared/dialog.js";
import { Header } from "./header.js";
import { Panel } from "./panel.js";
import { Refusals } from "./refusals.js";
import { Replies, prose } from "./replies.js";
import { Stopwatch } from "./stopwatch.js";
import { choiceText, offline, waiting } from "./words.js";

const COMPLAINT_MS = 12_000;
const FLASH_MS = 450;
const MAX_MEASURES = 1000;
const TOO_SOON = "Too soon to count. Read this pair, then choose.";
const UNFINISHED = "Reasons that you began are kept. Choose “Why?” to go on.";
const BUTTON = { left: "vote-left", right: "vote-right", tie: "vote-tie", both_bad: "vote-both-bad", skip: "vote-skip" };

/** A pair as the page holds it: what is shown of it, and what has become of it.
 *
 * @typedef {object} Pair
 * @property {string} leaseId
 * @property {number} version
 * @property {boolean} seen  Whether it has been on screen.
 * @property {boolean} own  Whether the rater asked for it.
 * @property {Stopwatch} watch
 * @property {Node} prompt
 * @property {string} line  What the prompt asks last.
 * @property {import("./replies.js").Prepared} replies */

/** @typedef {import("./server.js").Choice} Choice */

export class View {
  #prompt = card("prompt", "Prompt");
  #replies = new Replies(card("reply-left", "Reply 1").body, card("reply-right", "Reply 2").body, byId("replies"));
  #waitTitle = element("h2");
  #waitText = element("p");
  #mark = element("p", { class: "mark", role: "status" });
  #why;
  #complaint = element("p", { class: "complaint", role: "alert" });
  #isOfLast = false;
  #refusals = new Refusals();
  #count = element("span", { class: "sr-only", role: "status" });
  #panel;
  /** @type {import("./server.js").State | null} */
  #state = null;
  #lost = false;
  /** @type {string | null} What the server said of its trouble. */
  #trouble = null;
  #waitingVotes = 0;
  #undoing = false;
  #hasPair = false;
  #taken = "";
  #pairsBehind = 0;
  #shownPairs = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #complaintTimer;
  /** @type {((state: import("./server.js").State) => void) | null} */
  #tellFirst = null;
  /** @type {((state: import("./server.js").State) => void) | null} */
  #tellState = null;
  /** @type {(() => void) | null} */
  #tellVote = null;

  /** `me`: whose page this is. `onWhy`: the rater wants to say why.
   *
   * @param {object} parts
   * @param {import("../shared/who.js").Me} parts.me
   * @param {() => void} parts.onWhy */
  constructor({ me, onWhy }) {
    this.#panel = new Panel(new Header(me));
    this.#why = button("Why?", onWhy, { id: "open-why", title: "Say why (R)", "aria-keyshortcuts": "R" });
    this.#why.append(element("kbd", { "aria-hidden": "true" }, "R"));
    const pulse = element("div", { class: "pulse", "aria-hidden": "true" });
    const wait = element("section", { id: "waiting", role: "status" }, pulse, this.#waitTitle, this.#waitText);
    byId("pair").prepend(wait);
    byId("saved").append(element("div", { class: "line" }, this.#mark, this.#why), this.#complaint, this.#count);
    this.#why.hidden = true;
    fillWindow();
    this.show(null);
  }

  /** A pair from the server, with its HTML built before it is needed.
   *
   * @param {import("./server.js").LeasedPair} pair
   * @returns {Pair} */
  prepare(pair) {
    return {
      leaseId: pair.lease_id,
      version: pair.version,
      seen: false,
      own: false,
      watch: new Stopwatch(),
      ...preparedPrompt(pair.prompt_html),
      replies: this.#replies.prepare(pair),
    };
  }

  /** Put a pair on screen; null: there is none, so say what goes on. `behind`: how many wait.
   *
   * @param {Pair | null} pair */
  show(pair, behind = 0) {
    this.#pairsBehind = behind;
    if (this.#lost) this.#showMark();
    document.body.classList.toggle("is-waiting", !pair);
    this.#hasPair = Boolean(pair);
    enableVotes(this.#hasPair && !this.#undoing);
    if (!pair) return this.#explainWaiting();
    this.#prompt.body.replaceChildren(pair.prompt);
    this.#replies.show(pair.replies);
    setText(this.#prompt.note, `from version ${pair.version}`);
    this.#prompt.body.scrollTop = this.#prompt.body.scrollHeight; // the newest turn of a long one
    window.scrollTo(0, 0);
    this.#shownPairs += 1;
    setText(this.#count, `Pair ${this.#shownPairs}: ${pair.line}`);
  }

  /** A vote was taken: show which, and note how long it took until the next pair was painted.
   *
   * @param {Choice} choice
   * @param {number} strength
   * @param {number} at  When the rater acted, in ms.
   * @param {boolean} isEdited */
  took(choice, strength, at, isEdited = false) {
    this.#taken = choiceText(choice, strength) + (isEdited ? ", edited" : "");
    this.#why.hidden = false;
    this.#tellVote?.();
    if (this.#isOfLast) this.#complain("");
    flash(buttonOf(choice, strength), "taken");
    requestAnimationFrame(() => setTimeout(() => noteLatency(at)));
  }

  /** A vote was stored before, with this choice.
   *
   * @param {Choice} choice
   * @param {number} strength
   * @param {boolean} isLast whether it is the one that the mark tells of */
  stored(choice, strength, isLast) {
    const text = choiceText(choice, strength);
    if (isLast) this.#taken = text;
    this.#showMark();
    this.complain(`This vote was stored before, as “${text}”, and stays so.`);
  }

  /** A vote came before anybody can have read the pair.
   *
   * @param {Choice} choice
   * @param {number} strength */
  swallowed(choice, strength) {
    flash(buttonOf(choice, strength), "swallowed");
    this.complain(TOO_SOON, true);
  }

  /** Reasons were given for the last vote: there is nothing to ask for. */
  explained() {
    this.#taken = this.#taken && `${this.#taken}, with your reasons`;
    this.#why.hidden = true;
    this.#showMark();
  }

  /** Reasons for an earlier vote were begun, and the page was left. */
  offerWhy() {
    this.#why.hidden = false;
    this.complain(UNFINISHED);
  }

  /** Another way to look at the replies.
   *
   * @param {import("./replies.js").Mode} name */
  toggle(name) {
    this.#replies.toggle(name);
  }

  /** @param {boolean} isUndoing */
  undoing(isUndoing) {
    this.#undoing = isUndoing;
    byId("undo").classList.toggle("busy", isUndoing);
    enableVotes(this.#hasPair && !isUndoing);
    if (isUndoing) this.#nothingTaken();
    else this.#showMark();
  }

  /** @param {number} change */
  counted(change) {
    if (change < 0) this.#nothingTaken();
    this.#panel.counted(change);
  }

  /** `tell` gets the first state of the loop, once.
   *
   * @param {(state: import("./server.js").State) => void} tell */
  onFirstState(tell) {
    this.#tellFirst = tell;
  }

  /** `tell` gets every state of the loop.
   *
   * @param {(state: import("./server.js").State) => void} tell */
  onState(tell) {
    this.#tellState = tell;
  }

  /** `tell` is called at each vote.
   *
   * @param {() => void} tell */
  onVote(tell) {
    this.#tellVote = tell;
  }

  /** @param {import("./server.js").State} state */
  see(state) {
    if (!this.#state) this.#tellFirst?.(state);
    this.#state = state;
    this.#panel.see(state);
    this.#tellState?.(state);
    this.#explainWaiting();
  }

  /** @param {number} waitingVotes */
  delivery(waitingVotes) {
    this.#waitingVotes = waitingVotes;
    this.#panel.pending(waitingVotes);
    this.#showMark();
  }

  connected() {
    this.#lost = false;
    this.#trouble = null;
    this.#showMark();
  }

  /** `trouble`: what the server said, if it said anything.
   *
   * @param {string | null} trouble */
  disconnected(trouble) {
    this.#lost = true;
    this.#trouble = trouble;
    this.#showMark();
    this.#explainWaiting();
  }

  /** Say something for a while, or until the next vote if it is only of the last one.
   *
   * @param {string} sentence */
  complain(sentence, isOfLast = false) {
    this.#complain(sentence);
    this.#isOfLast = isOfLast;
    clearTimeout(this.#complaintTimer);
    this.#complaintTimer = setTimeout(() => this.#complain(""), COMPLAINT_MS);
  }

  /** The server would not save something.
   *
   * @param {import("./refusals.js").Kind} kind
   * @param {string} sentence */
  refused(kind, sentence) {
    this.#refusals.add(kind, sentence);
  }

  #nothingTaken() {
    this.#taken = "";
    this.#why.hidden = true;
    this.#showMark();
  }

  /** @param {string} sentence */
  #complain(sentence) {
    setText(this.#complaint, sentence);
  }

  #explainWaiting() {
    const [title, text] = waiting(this.#state, this.#lost);
    setText(this.#waitTitle, title);
    setText(this.#waitText, this.#trouble ?? text);
  }

  #showMark() {
    const kind = this.#lost ? "lost" : this.#waitingVotes ? "saving" : this.#taken ? "saved" : "idle";
    this.#mark.dataset.kind = kind;
    setText(this.#mark, this.#markText(kind));
  }

  /** @param {string} kind */
  #markText(kind) {
    const votes = counted(this.#waitingVotes, "vote");
    if (kind === "lost") {
      const what = this.#trouble ?? "Connection lost.";
      if (this.#undoing) return `The undo is waiting for the server. ${what}`;
      return `${what} ${offline(this.#waitingVotes, this.#pairsBehind)}`;
    }
    if (kind === "saving") return this.#waitingVotes > 1 ? `Saving ${votes}…` : "Saving…";
    return kind === "saved" ? `Saved: ${this.#taken}` : "";
  }
}

/** Tell the styles how much stands above the pair, which fills the rest of the window, and how high
 *  the prompt and the buttons are, which stay in sight. */
function fillWindow() {
  const { style } = document.documentElement;
  const observer = new ResizeObserver(() => {
    style.setProperty("--above", `${byId("desk").offsetTop}px`);
    style.setProperty("--prompt", `${byId("prompt").offsetHeight}px`);
    style.setProperty("--choices", `${byId("choices").offsetHeight}px`);
  });
  for (const id of ["top", "alarms", "refusals", "prompt", "choices"]) observer.observe(byId(id));
}

/**
 * @param {string} id
 * @param {string} title */
function card(id, title) {
  const place = byId(id);
  const note = element("span", { class: "note" });
  const body = element("div", { class: "body", tabindex: "0" });
  place.setAttribute("role", "region");
  place.setAttribute("aria-label", title);
  place.append(element("header", {}, element("h2", {}, title), note), body);
  return { body, note };
}

/** The prompt as HTML that the server has made safe, and the beginning of what it asks last.
 *
 * @param {string} html */
function preparedPrompt(html) {
  const prompt = prose(html);
  const last = prompt.querySelector(".turn:last-child") ?? prompt;
  return { prompt, line: (last.textContent ?? "").trim().slice(0, MAX_LINE_CHARS) };
}

/** aria-disabled rather than disabled: the focus stays where it is.
 *
 * @param {boolean} enabled */
function enableVotes(enabled) {
  for (const button of document.querySelectorAll("#choices button[id^=vote-]")) {
    button.setAttribute("aria-disabled", String(!enabled));
  }
}

/**
 * @param {Choice} choice
 * @param {number} strength */
function buttonOf(choice, strength) {
  return byId(BUTTON[choice] + (strength === 2 ? "-much" : ""));
}

/**
 * @param {HTMLElement} button
 * @param {"taken" | "swallowed"} kind */
function flash(button, kind) {
  button.classList.remove("taken", "swallowed");
  requestAnimationFrame(() => button.classList.add(kind));
  setTimeout(() => button.classList.remove(kind), FLASH_MS);
}

/** For benchmarks: performance.getEntriesByName("vote-to-paint").
 *
 * @param {number} at */
function noteLatency(at) {
  if (performance.getEntriesByName("vote-to-paint").length >= MAX_MEASURES) {
    performance.clearMeasures("vote-to-paint");
  }
  performance.measure("vote-to-paint", { start: at, end: performance.now() });
}
