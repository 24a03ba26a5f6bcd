// @ts-check
// The panel beside the pair: progress, what goes on, what the labels changed.

import { byId, element, row, setText } from "../shared/dom.js";
import { keep, kept } from "../shared/kept.js";
import { progressBar } from "../shared/progress.js";
import { JudgeSection } from "./judge.js";

const SESSION_KEY = "livedpo.session-votes";

/** @typedef {import("./server.js").State} State */

export class Panel {
  #header;
  #progressText = element("p", { class: "lead" });
  #bar = progressBar("Labels to the next update");
  #whyNone = element("p", { class: "why" });
  #activity = element("p", { class: "activity" });
  #trainingBar = progressBar("Training steps");
  #resultTitle = element("p", { class: "lead" });
  #resultLines = element("ul", { class: "figures" });
  #resultDetails = element("dl");
  #resultMore = element("details", {}, element("summary", {}, "Figures"), this.#resultDetails);
  #result = element("section", { class: "result", "aria-live": "polite" });
  #judge = new JudgeSection();
  #session = element("dd");
  #total = element("dd");
  #labels = element("dd");
  #ready = element("dd");
  #sessionVotes = Number(kept(SESSION_KEY, 0, "sessionStorage"));
  #votes = 0; // as the server counts them
  #pending = 0; // cast, not confirmed
  /** @type {string | null} The update and the live version. */
  #resultShown = null;
  #alarms = "";

  /** @param {import("./header.js").Header} header */
  constructor(header) {
    this.#header = header;
    const panel = byId("panel");
    panel.setAttribute("role", "complementary");
    panel.setAttribute("aria-label", "Progress");
    const sections = [this.#progressSection(), this.#resultSection(), this.#numbersSection()];
    panel.append(...sections, this.#judge.section);
    this.#showVotes();
  }

  /** @param {State} state */
  see(state) {
    this.#votes = state.votes;
    this.#header.see(state);
    setText(this.#ready, String(state.ready));
    setText(this.#labels, String(state.labels));
    this.#showProgress(state);
    this.#showActivity(state);
    this.#showResult(state);
    this.#judge.see(state);
    this.#showAlarms(state.alarms);
    this.#showVotes();
  }

  /** @param {number} count */
  pending(count) {
    this.#pending = count;
    this.#showVotes();
  }

  /** @param {number} change */
  counted(change) {
    this.#sessionVotes = Math.max(0, this.#sessionVotes + change);
    keep(SESSION_KEY, this.#sessionVotes, "sessionStorage");
    this.#showVotes();
  }

  #progressSection() {
    const where = element("div", { class: "now" }, this.#activity, this.#trainingBar.node);
    return section("Next update", this.#progressText, this.#bar.node, this.#whyNone, where);
  }

  #resultSection() {
    const changes = element("button", { type: "button", id: "open-changes" }, "See what changed");
    this.#result.append(element("h2", {}, "Last update"), this.#resultTitle, changes, this.#resultLines, this.#resultMore);
    this.#result.hidden = true;
    return this.#result;
  }

  #numbersSection() {
    const numbers = element("dl");
    const rows = [
      ["This session", this.#session],
      ["All your votes", this.#total],
      ["Labels from them", this.#labels],
      ["Pairs ready", this.#ready],
    ];
    this.#labels.title = "A skip teaches nothing; an edit is your vote and your text over the reply";
    for (const [name, value] of rows) numbers.append(element("div", {}, element("dt", {}, name), value));
    return section("Votes", numbers);
  }

  /** @param {State} state */
  #showProgress(state) {
    const { done, wanted, text, why } = state.progress;
    setText(this.#progressText, text);
    setText(this.#whyNone, why);
    this.#bar.fill(done, wanted);
  }

  /** @param {State} state */
  #showActivity(state) {
    const update = state.update;
    const runs = Boolean(update?.runs);
    setText(this.#activity, state.activity);
    this.#activity.classList.toggle("busy", runs);
    const trains = Boolean(update?.runs && update.steps_total > 0);
    this.#trainingBar.node.hidden = !trains;
    if (update && trains) this.#trainingBar.fill(update.steps_done, update.steps_total);
  }

  /** @param {State} state */
  #showResult(state) {
    const shown = `${state.result?.id ?? ""} ${state.live ?? ""}`;
    if (this.#resultShown === shown) return;
    const isNews = this.#resultShown !== null;
    this.#resultShown = shown;
    const told = state.result;
    this.#result.hidden = !told;
    if (!told) return;
    setText(this.#resultTitle, told.title);
    this.#resultLines.replaceChildren(...told.lines.map((line) => element("li", {}, line)));
    this.#resultDetails.replaceChildren(...told.details.map(row));
    this.#resultMore.hidden = told.details.length === 0;
    this.#result.classList.toggle("bad", !told.good);
    this.#result.classList.toggle("news", isNews);
    this.#header.showNews(isNews && told.good);
  }

  /** @param {string[]} alarms */
  #showAlarms(alarms) {
    const texts = JSON.stringify(alarms);
    if (texts === this.#alarms) return;
    this.#alarms = texts;
    byId("alarms").replaceChildren(...alarms.map((alarm) => element("p", { role: "alert" }, alarm)));
  }

  #showVotes() {
    setText(this.#session, String(this.#sessionVotes));
    setText(this.#total, String(this.#votes + this.#pending));
  }
}

/**
 * @param {string} title
 * @param {...Node} children */
function section(title, ...children) {
  return element("section", {}, element("h2", {}, title), ...children);
}
