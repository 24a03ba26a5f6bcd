// @ts-check
// One pair with all that was said of it. Its texts are rendered by the server; everything else is
// put in as text.

import { ask } from "../shared/ask.js";
import { MAX_REASON_CHARS } from "../shared/bounds.js";
import { byId, element } from "../shared/dom.js";
import { isNumber, percent } from "../shared/numbers.js";
import { send } from "../shared/send.js";
import { exactly, span, timeElement } from "../shared/times.js";
import { toast } from "../shared/toast.js";
import { choiceSentence, PURPOSES, STATES } from "./words.js";

/** @type {Record<string, string>} */
const USES = { train: "trained on", held_out: "tested with", replay: "trained on again", remembered: "tested with again" };

export class Opened {
  #place;
  #close;
  #changed;
  /** @type {number | null} */
  #id = null;

  /**
   * @param {HTMLElement} place
   * @param {{ close: () => void, changed: () => void }} listeners */
  constructor(place, { close, changed }) {
    this.#place = place;
    this.#close = close;
    this.#changed = changed;
  }

  nothing() {
    this.#id = null;
    this.#place.replaceChildren(element("p", { class: "nothing soft" }, "Choose a pair from the list to see its votes."));
  }

  /** @param {number} id */
  async open(id) {
    this.#id = id;
    try {
      const pair = await send(`/labels/pairs/${id}`);
      if (this.#id !== id) return;
      this.#show(pair);
      this.#place.scrollTop = 0;
      this.#place.querySelector("h2")?.focus();
    } catch (error) {
      if (this.#id !== id) return;
      const sentence = error.status ? error.message : "The service did not answer. Try again in a moment.";
      this.#place.replaceChildren(this.#back(), element("p", { class: "alarm", role: "alert" }, sentence));
    }
  }

  /** @param {any} pair */
  #show(pair) {
    this.#place.replaceChildren(
      this.#head(pair),
      ...(pair.aside ? [asideNote(pair)] : []),
      ...links(pair),
      textCard("Prompt", pair.prompt_html, "", "prompt"),
      element("div", { class: "responses" }, ...["a", "b"].map((side, index) => response(pair, side, index))),
      section("Votes", votesTable(pair)),
      ...(pair.verdicts.length ? [section("Judge", verdictsTable(pair))] : []),
      section("How it was made", facts(pair)),
    );
  }

  /** @param {any} pair */
  #head(pair) {
    const heading = element("h2", { tabindex: "-1" }, `Pair ${pair.id}`);
    const chips = [element("span", { class: "chip" }, STATES[pair.state]), element("span", { class: "chip" }, `version ${pair.version}`)];
    if (pair.purpose !== "loop") chips.push(element("span", { class: "chip accent" }, PURPOSES[pair.purpose]));
    if (pair.aside) chips.push(element("span", { class: "chip bad" }, "set aside"));
    const button = element("button", { type: "button", class: "button", id: "aside" }, pair.aside ? "Put back" : "Set aside");
    button.addEventListener("click", () => this.#setAside(pair));
    return element("div", { class: "opened-head" }, this.#back(), heading, element("div", { class: "chips" }, ...chips), button);
  }

  #back() {
    const back = element("button", { type: "button", class: "button back" }, "← List");
    back.addEventListener("click", this.#close);
    return back;
  }

  /** @param {any} pair */
  async #setAside(pair) {
    const aside = !pair.aside;
    const answer = await ask(aside ? asideQuestion(pair) : backQuestion(pair));
    if (answer === null) return;
    const body = aside ? { aside, reason: answer } : { aside };
    try {
      this.#show(await send(`/labels/pairs/${pair.id}/aside`, body));
      byId("aside").focus();
      toast(aside ? `Pair ${pair.id} is set aside.` : `Pair ${pair.id} counts again.`);
    } catch (error) {
      toast(error.status ? error.message : "The service did not answer. Open the pair again to see whether it worked.");
    }
    this.#changed();
  }
}

/** @param {any} pair */
function asideQuestion(pair) {
  const used = pair.votes.some((/** @type {any} */ vote) => vote.update !== null);
  const lines = ["From now on no update trains on it, and preference exports leave it out. Its votes stay, and you can put it back."];
  if (used) lines.push("It has already been trained on, which cannot be undone.");
  return { title: `Set pair ${pair.id} aside?`, lines, verb: "Set aside", field: { label: "Why (others will read it)", max: MAX_REASON_CHARS } };
}

/** @param {any} pair */
function backQuestion(pair) {
  return { title: `Put pair ${pair.id} back?`, lines: ["Its votes count again from the next update on. Who set it aside, and why, is no longer shown."], verb: "Put back" };
}

/** @param {any} pair */
function asideNote({ aside }) {
  const who = element("bdi", {}, aside.by ?? "someone");
  const why = aside.reason ? [": ", element("q", { dir: "auto" }, aside.reason)] : ["."];
  return element("p", { class: "aside-note" }, "Set aside by ", who, " on ", exactly(aside.at), ...why);
}

/** @param {any} pair */
function links({ source_pair: source, purpose, edits, repeats, answer, for_rater: rater }) {
  const parts = [];
  /** @type {(id: number) => Node} */
  const link = (id) => element("a", { href: `#pair=${id}` }, `pair ${id}`);
  /** @type {(ids: number[]) => (Node | string)[]} */
  const all = (ids) => ids.flatMap((id, index) => [index ? ", " : "", link(id)]);
  if (purpose === "edit") parts.push(["Response a was written by a person, from response b of ", link(source), "."]);
  if (purpose === "repeat") parts.push(["The same two responses as ", link(source), ", shown again to check whether the rater gives the same answer."]);
  if (purpose === "gold") parts.push([`A gold pair: response ${answer} is the better one. Nothing learns from it.`]);
  if (purpose === "own") parts.push(["A rater wrote this prompt."]);
  if (rater) parts.push(["Shown to ", element("bdi", {}, rater), " only."]);
  if (edits.length) parts.push(["Edited into ", ...all(edits), "."]);
  if (repeats.length) parts.push(["Shown again as ", ...all(repeats), "."]);
  return parts.length ? [element("ul", { class: "links" }, ...parts.map((part) => element("li", {}, ...part)))] : [];
}

/**
 * @param {string} title
 * @param {string} html
 * @param {string} note
 * @param {string} name */
function textCard(title, html, note, name) {
  const text = element("div", { class: "text" });
  text.innerHTML = html; // from the server's own renderer
  const head = element("header", {}, element("h3", {}, title), element("span", { class: "soft small-text" }, note));
  return element("article", { class: `card text-card ${name}` }, head, text);
}

/**
 * @param {any} pair
 * @param {string} side
 * @param {number} index */
function response(pair, side, index) {
  const { html, finish, tokens } = pair.responses[index];
  const notes = [tokens ? `${tokens} tokens` : null, finish === "length" ? "cut at the limit" : null].filter(Boolean);
  const made = textCard(`Response ${side}`, html, notes.join(", "), `response-${side}`);
  const likes = pair.votes.filter((/** @type {any} */ vote) => !vote.undone && vote.choice === side);
  if (likes.length) {
    const names = likes.map((/** @type {any} */ vote) => (vote.source === "judge" ? "the judge" : vote.rater));
    made.classList.add("liked");
    made.append(element("p", { class: "likes" }, "Preferred by ", element("bdi", {}, names.join(", "))));
  }
  return made;
}

/**
 * @param {string} title
 * @param {Node} content */
function section(title, content) {
  return element("section", { class: "card" }, element("h3", {}, title), content);
}

/**
 * @param {string} label
 * @param {Node} table */
function scrolled(label, table) {
  return element("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, table);
}

/**
 * @param {string} label
 * @param {string[]} names
 * @param {Node[]} rows */
function tableOf(label, names, rows) {
  const head = element("thead", {}, element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name))));
  const caption = element("caption", { class: "sr-only" }, label);
  return scrolled(label, element("table", {}, caption, head, element("tbody", {}, ...rows)));
}

/** @param {any} pair */
function votesTable({ votes }) {
  if (!votes.length) return element("p", { class: "soft" }, "No one has voted on it yet.");
  return tableOf("Votes", ["Who", "Choice", "When", "Time taken", "On the left", "Used"], votes.map(voteRow));
}

/** @param {any} vote */
function voteRow(vote) {
  const who = element("th", { scope: "row" }, element("bdi", {}, vote.rater), ...(vote.source === "judge" ? [chip("judge", "accent")] : []));
  const said = element("td", {}, element(vote.undone ? "del" : "span", {}, choiceSentence(vote)), ...(vote.undone ? [chip("undone", "")] : []), ...why(vote));
  const took = element("td", {}, isNumber(vote.seconds) ? span(vote.seconds) : "–", ...(vote.too_fast ? [chip("too fast", "warn")] : []));
  const left = vote.source === "judge" ? "–" : vote.shown_left;
  return element("tr", vote.undone ? { class: "undone" } : {}, who, said, element("td", {}, timeElement(vote.at)), took, element("td", {}, left), element("td", {}, ...used(vote)));
}

/** @param {any} vote */
function why({ reasons, comment }) {
  const tags = reasons.length ? [element("div", { class: "chips" }, ...reasons.map((/** @type {string} */ reason) => chip(reason, "")))] : [];
  return comment ? [...tags, element("q", { class: "comment", dir: "auto" }, comment)] : tags;
}

/** @param {any} vote */
function used({ update, version, listed, staleness }) {
  const lines = [];
  if (update !== null) lines.push(`update ${update}${version === null ? "" : `, version ${version}`}`);
  for (const each of listed) {
    if (each.update !== update || each.role !== "train") lines.push(`${USES[each.role]} in update ${each.update}`);
  }
  if (staleness) lines.push(`${staleness} versions behind when voted on`);
  return lines.length ? lines.map((line) => element("div", {}, line)) : ["not yet"];
}

/** @param {any} pair */
function verdictsTable({ verdicts }) {
  const names = ["Judge", "Verdict", "Scores a, b", "Orders", "When"];
  const rows = verdicts.map((/** @type {any} */ verdict) => {
    const { probability, cause, score_a: a, score_b: b, forward, backward } = verdict;
    const said = isNumber(probability) ? `${percent(probability)} for a` : `none: ${cause}`;
    const scores = isNumber(a) && isNumber(b) ? `${a.toFixed(2)}, ${b.toFixed(2)}` : "–";
    const orders = isNumber(forward) && isNumber(backward) ? `${percent(forward)}, ${percent(backward)}` : "–";
    return element("tr", {}, element("th", { scope: "row", class: "wrap" }, verdict.judge), ...[said, scores, orders].map((text) => element("td", {}, text)), element("td", {}, timeElement(verdict.at)));
  });
  return tableOf("The judge's verdicts", names, rows);
}

/** @param {any} pair */
function facts(pair) {
  const rows = [
    ["Made", exactly(pair.made_at)],
    ["By version", String(pair.version)],
    ["Votes wanted", String(pair.votes_wanted)],
    ...Object.entries(pair.sampling).map(([name, value]) => [name.replaceAll("_", " "), typeof value === "object" ? JSON.stringify(value) : String(value)]),
  ];
  return element("dl", { class: "facts" }, ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

/**
 * @param {string} text
 * @param {string} kind */
function chip(text, kind) {
  return element("span", { class: `chip ${kind}` }, text);
}
