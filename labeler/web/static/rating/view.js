// What is on screen: the pair, the waiting state, the saved mark, complaints.

import { MAX_LINE_CHARS } from "../shared/bounds.js";
import { counted, element, setText } from "../shared/dom.js";
import { button } from "../shared/dialog.js";
import { Header } from "./header.js";
import { Panel } from "./panel.js";
import { Replies, prose } from "./replies.js";
import { Stopwatch } from "./stopwatch.js";
import { choiceText, waiting } from "./words.js";

const COMPLAINT_MS = 12_000;
const FLASH_MS = 450;
const MAX_MEASURES = 1000;
const TOO_SOON = "Too soon to count. Read this pair, then choose.";
const UNFINISHED = "Reasons that you began are kept. Choose “Why?” to go on.";
const BUTTON = { left: "vote-left", right: "vote-right", tie: "vote-tie", both_bad: "vote-both-bad", skip: "vote-skip" };

export class View {
  #prompt = card("prompt", "Prompt");
  #replies = new Replies(card("reply-left", "Reply 1").body, card("reply-right", "Reply 2").body, byId("replies"));
  #waitTitle = element("h2");
  #waitText = element("p");
  #mark = element("p", { class: "mark", role: "status" });
  #why;
  #complaint = element("p", { class: "complaint", role: "alert" });
  #count = element("span", { class: "sr-only", role: "status" });
  #panel;
  #state = null;
  #lost = false;
  #trouble = null;
  #waitingVotes = 0;
  #undoing = false;
  #taken = "";
  #shownPairs = 0;
  #complaintTimer = null;
  #tellFirst = null;
  #tellVote = null;

  /** `me`: whose page this is. `onWhy`: the rater wants to say why. */
  constructor({ me, onWhy }) {
    this.#panel = new Panel(new Header(me));
    this.#why = button("Why?", onWhy, { id: "open-why", title: "Say why (R)", "aria-keyshortcuts": "R" });
    this.#why.append(element("kbd", { "aria-hidden": "true" }, "R"));
    const pulse = element("div", { class: "pulse", "aria-hidden": "true" });
    const wait = element("section", { id: "waiting", role: "status" }, pulse, this.#waitTitle, this.#waitText);
    byId("pair").prepend(wait);
    byId("saved").append(element("div", { class: "line" }, this.#mark, this.#why), this.#complaint, this.#count);
    this.#why.hidden = true;
    byId("choices").setAttribute("role", "group");
    byId("choices").setAttribute("aria-label", "Your vote");
    fillWindow();
    this.show(null);
  }

  /** A pair from the server, with its HTML built before it is needed. */
  prepare(pair) {
    return {
      leaseId: pair.lease_id,
      version: pair.version,
      seen: false,
      watch: new Stopwatch(),
      ...preparedPrompt(pair.prompt_html),
      replies: this.#replies.prepare(pair),
    };
  }

  /** Put a pair on screen; null: there is none, so say what goes on. */
  show(pair) {
    document.body.classList.toggle("is-waiting", !pair);
    enableVotes(Boolean(pair));
    if (!pair) return this.#explainWaiting();
    this.#prompt.body.replaceChildren(pair.prompt);
    this.#replies.show(pair.replies);
    setText(this.#prompt.note, `from version ${pair.version}`);
    this.#prompt.body.scrollTop = this.#prompt.body.scrollHeight; // the newest turn of a long one
    window.scrollTo(0, 0);
    this.#shownPairs += 1;
    setText(this.#count, `Pair ${this.#shownPairs}: ${pair.line}`);
  }

  /** A vote was taken: show which, and note how long it took until the next pair was painted. */
  took(choice, strength, at, isEdited = false) {
    this.#taken = choiceText(choice, strength) + (isEdited ? ", edited" : "");
    this.#why.hidden = false;
    this.#tellVote?.();
    this.#complain("");
    flash(buttonOf(choice, strength), "taken");
    requestAnimationFrame(() => setTimeout(() => noteLatency(at)));
  }

  /** A vote was stored before, with this choice. `isLast`: it is the one that the mark tells of. */
  stored(choice, strength, isLast) {
    const text = choiceText(choice, strength);
    if (isLast) this.#taken = text;
    this.#showMark();
    this.complain(`This vote was stored before, as “${text}”, and stays so.`);
  }

  /** A vote came before anybody can have read the pair. */
  swallowed(choice, strength) {
    flash(buttonOf(choice, strength), "swallowed");
    this.complain(TOO_SOON);
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

  /** Another way to look at the replies: "plain", "differences" or "together". */
  toggle(name) {
    this.#replies.toggle(name);
  }

  undoing(isUndoing) {
    this.#undoing = isUndoing;
    byId("undo").classList.toggle("busy", isUndoing);
    if (isUndoing) this.#nothingTaken();
    else this.#showMark();
  }

  counted(change) {
    if (change < 0) this.#nothingTaken();
    this.#panel.counted(change);
  }

  /** `tell` gets the first state of the loop, once. */
  onFirstState(tell) {
    this.#tellFirst = tell;
  }

  /** `tell` is called at each vote. */
  onVote(tell) {
    this.#tellVote = tell;
  }

  see(state) {
    if (!this.#state) this.#tellFirst?.(state);
    this.#state = state;
    this.#panel.see(state);
    this.#explainWaiting();
  }

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

  /** `trouble`: what the server said, if it said anything. */
  disconnected(trouble) {
    this.#lost = true;
    this.#trouble = trouble;
    this.#showMark();
    this.#explainWaiting();
  }

  complain(sentence) {
    this.#complain(sentence);
    clearTimeout(this.#complaintTimer);
    this.#complaintTimer = setTimeout(() => this.#complain(""), COMPLAINT_MS);
  }

  #nothingTaken() {
    this.#taken = "";
    this.#why.hidden = true;
    this.#showMark();
  }

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

  #markText(kind) {
    const votes = counted(this.#waitingVotes, "vote");
    if (kind === "lost") {
      const what = this.#trouble ?? "Connection lost.";
      if (this.#undoing) return `The undo is waiting for the server. ${what}`;
      return this.#waitingVotes ? `${votes} waiting. ${what}` : what;
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
  for (const id of ["top", "alarms", "prompt", "choices"]) observer.observe(byId(id));
}

function card(id, title) {
  const place = byId(id);
  const note = element("span", { class: "note" });
  const body = element("div", { class: "body", tabindex: "0" });
  place.setAttribute("role", "region");
  place.setAttribute("aria-label", title);
  place.append(element("header", {}, element("h2", {}, title), note), body);
  return { body, note };
}

/** The prompt as HTML that the server has made safe, and the beginning of what it asks last. */
function preparedPrompt(html) {
  const prompt = prose(html);
  const last = prompt.querySelector(".turn:last-child") ?? prompt;
  return { prompt, line: last.textContent.trim().slice(0, MAX_LINE_CHARS) };
}

/** aria-disabled rather than disabled: the focus stays where it is. */
function enableVotes(enabled) {
  for (const button of document.querySelectorAll("#choices button[id^=vote-]")) {
    button.setAttribute("aria-disabled", String(!enabled));
  }
}

function buttonOf(choice, strength) {
  return byId(BUTTON[choice] + (strength === 2 ? "-much" : ""));
}

function flash(button, kind) {
  button.classList.remove("taken", "swallowed");
  requestAnimationFrame(() => button.classList.add(kind));
  setTimeout(() => button.classList.remove(kind), FLASH_MS);
}

/** For benchmarks: performance.getEntriesByName("vote-to-paint"). */
function noteLatency(at) {
  if (performance.getEntriesByName("vote-to-paint").length >= MAX_MEASURES) {
    performance.clearMeasures("vote-to-paint");
  }
  performance.measure("vote-to-paint", { start: at, end: performance.now() });
}

function byId(id) {
  return document.getElementById(id);
}
