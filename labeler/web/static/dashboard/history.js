// @ts-check
// The updates, newest first, and what an admin may do: accept, reject, roll back. Each is asked for
// in words that say what will happen, and only against the live version that was on screen.

import { ask } from "../shared/ask.js";
import { byId, element, redraw, setText } from "../shared/dom.js";
import { isNumber } from "../shared/numbers.js";
import { send } from "../shared/send.js";
import { moment, span, timeElement } from "../shared/times.js";
import { toast } from "../shared/toast.js";

const FEW = 8;

export class History {
  #mayAct;
  #changed;
  #live = null;
  #parent = null;
  #drawn = "";
  #showsAll = false;
  /** @type {any[]} */
  #rows = [];
  #now = 0;
  #busy = false;

  /**
   * @param {boolean} mayAct
   * @param {() => void} changed */
  constructor(mayAct, changed) {
    this.#mayAct = mayAct;
    this.#changed = changed;
    this.#button().addEventListener("click", () => this.#rollBack());
  }

  /** @param {any} figures */
  show({ history, tiles, now }) {
    this.#live = tiles.live;
    this.#parent = tiles.parent;
    this.#rows = history;
    this.#now = now;
    const drawn = JSON.stringify([history, tiles.live, tiles.parent]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#redraw();
  }

  /** Draw anew, and leave the focus on the button that it is on. */
  #redraw() {
    redraw(byId("history"), () => this.#draw(), () => byId("history-title"));
  }

  #draw() {
    const back = this.#button();
    back.hidden = !this.#mayAct || this.#parent === null;
    setText(back, `Roll back to version ${this.#parent}`);
    const place = byId("history");
    if (!this.#rows.length) {
      place.replaceChildren(element("p", { class: "soft" }, "No updates yet. The first one starts when there are enough fresh labels."));
      return;
    }
    const shown = this.#showsAll ? this.#rows : this.#rows.slice(0, FEW);
    const names = ["Update", "When", "Labels", "Version", "State", "What the gate found", ...(this.#mayAct ? ["Actions"] : [])];
    const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
    const body = element("tbody", {}, ...shown.map((row) => this.#row(row)));
    const table = element("table", { class: "history" }, element("caption", { class: "sr-only" }, "Updates, newest first"), element("thead", {}, head), body);
    const wrap = element("div", { class: "scroll", role: "region", "aria-label": "Updates", tabindex: "0" }, table);
    place.replaceChildren(wrap, ...this.#more());
  }

  #more() {
    if (this.#rows.length <= FEW) return [];
    const text = this.#showsAll ? "Show fewer" : `Show all ${this.#rows.length}`;
    const button = element("button", { type: "button", class: "button small" }, text);
    button.addEventListener("click", () => {
      this.#showsAll = !this.#showsAll;
      this.#draw();
    });
    return [button];
  }

  /** @param {any} row */
  #row(row) {
    const { version } = row;
    const cells = [
      element("th", { scope: "row" }, row.update === null ? "trained" : String(row.update)),
      cell(timeElement(row.at, moment(row.at, this.#now)), below(isNumber(row.seconds) ? span(row.seconds) : "")),
      cell(labelText(row)),
      cell(version ? `${version.id}` : "–", below(version && version.parent !== null ? `from ${version.parent}` : "")),
      cell(stateChip(row), ...actions(version)),
      cell(...found(row)),
      ...(this.#mayAct ? [cell(...this.#buttons(version))] : []),
    ];
    const names = ["Update", "When", "Labels", "Version", "State", "Gate", "Actions"];
    for (const [index, each] of cells.entries()) each.dataset.name = names[index];
    return element("tr", {}, ...cells);
  }

  /** @param {any} version */
  #buttons(version) {
    if (!version) return [];
    const made = [];
    const isLive = version.state === "live";
    if (!isLive && !version.pruned && !version.broken) made.push(this.#do(version.state === "retired" ? "Make live" : "Accept", version, () => this.#accept(version)));
    if (version.state === "candidate" || (isLive && version.parent !== null)) made.push(this.#do("Reject", version, () => this.#reject(version)));
    if (version.pruned) made.push(element("span", { class: "soft small-text" }, "folder removed"));
    return [element("div", { class: "actions" }, ...made)];
  }

  /**
   * @param {string} name
   * @param {any} version
   * @param {() => void} act */
  #do(name, version, act) {
    const attributes = { type: "button", class: "button small", "aria-label": `${name} version ${version.id}` };
    const button = element("button", attributes, name);
    button.addEventListener("click", act);
    return button;
  }

  /** @param {any} version */
  #accept(version) {
    const live = this.#live;
    return this.#asked(
      {
        title: `Make version ${version.id} live?`,
        lines: [
          `It replaces version ${live}. New pairs will come from it, and unclaimed pairs from other versions are retired.`,
          ...(version.state === "rejected" ? ["The labels it was trained on then count as used."] : []),
          "Nothing is lost: any version can be made live again.",
        ],
        verb: "Make it live",
      },
      `/versions/${version.id}/promote`,
      { live },
    );
  }

  /** @param {any} version */
  #reject(version) {
    const isLive = version.state === "live";
    const lines = isLive
      ? [`It is live now. Version ${version.parent} will become live again in its place.`, "The labels it was trained on stay used."]
      : ["It stays in this list as rejected, and you can still accept it later."];
    return this.#asked({ title: `Reject version ${version.id}?`, lines, verb: "Reject it", danger: true }, `/versions/${version.id}/reject`, { live: this.#live });
  }

  #rollBack() {
    const [live, parent] = [this.#live, this.#parent];
    return this.#asked(
      {
        title: `Roll back to version ${parent}?`,
        lines: [
          `Version ${parent} becomes live in place of version ${live}, which was trained from it. New pairs will come from version ${parent}.`,
          `The labels that version ${live} was trained on stay used. Nothing is lost: any version can be made live again.`,
        ],
        verb: "Roll back",
        danger: true,
      },
      "/versions/rollback",
      { live },
    );
  }

  /**
   * @param {Parameters<typeof ask>[0]} question
   * @param {string} path
   * @param {object} body */
  async #asked(question, path, body) {
    if (this.#busy) return;
    this.#busy = true;
    try {
      if (!(await ask(question))) return;
      const { sentence } = await send(path, body);
      toast(sentence);
    } catch (error) {
      toast(error.status ? error.message : "The service did not answer. Check whether it worked before you try again.");
    } finally {
      this.#busy = false;
    }
    byId("history-title").focus();
    this.#changed();
  }

  #button() {
    return byId("rollback");
  }
}

/** @param {...(Node | string)} children */
function cell(...children) {
  return element("td", {}, ...children);
}

/** @param {string} text */
function below(text) {
  return element("div", { class: "soft small-text" }, text);
}

/** @param {any} row */
function labelText({ labels, judged }) {
  if (!isNumber(labels)) return "–";
  const by = judged ? `\u00a0(${judged}\u00a0judged)` : "";
  return `${labels}${by}`;
}

/** @param {any} row */
function stateChip({ state, version, steps }) {
  const [text, kind] = stateText(state, version, steps);
  return element("span", { class: `chip ${kind}` }, text);
}

/**
 * @param {string} state
 * @param {any} version
 * @param {[number, number]} steps */
function stateText(state, version, [done, total]) {
  if (version?.state === "live") return ["live", "accent"];
  if (version?.state === "candidate") return ["candidate", "warn"];
  if (state === "promoted" && version?.state === "rejected") return ["rejected later", "bad"];
  if (version?.state === "retired") return ["retired", ""];
  if (state === "rejected" || version?.state === "rejected") return ["held back", "bad"];
  if (state === "failed") return ["failed", "bad"];
  return [total ? `${state} ${done}/${total}` : state, "warn"];
}

/** Who did what to a version, newest first.
 *
 * @param {any} version */
function actions(version) {
  /** @type {{ what: string, by: string | null, at: number }[]} */
  const done = version?.actions ?? [];
  return done.slice(-2).reverse().map(({ what, by, at }) => {
    const node = element("div", { class: "soft small-text" }, `${what} by `, element("bdi", {}, by ?? "the command line"), " ");
    node.append(timeElement(at));
    return node;
  });
}

/** @param {any} row */
function found({ found: sentences, reason }) {
  const why = reason ? [element("div", { class: "reason" }, reason)] : [];
  return [...why, element("div", { class: "small-text soft" }, sentences.join(" ") || (reason ? "" : "–"))];
}
