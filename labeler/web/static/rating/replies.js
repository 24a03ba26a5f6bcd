// The two replies on screen: rendered or plain, with their differences marked, scrolled together.

import { element, setText } from "../shared/dom.js";
import { keep, kept } from "../shared/kept.js";
import { markDifferences } from "./differences.js";
import { ScrollSync } from "./scroll_sync.js";

const KEPT = "livedpo.view";
const TOGGLES = {
  differences: ["Differences", "D", "Mark the words that only one reply has"],
  plain: ["Plain text", "P", "Show the replies exactly as written"],
  together: ["Scroll together", "Y", "Scroll both replies together"],
};

export class Replies {
  #left;
  #right;
  #scrollSync;
  #buttons = {};
  #note = element("span", { class: "remark", role: "status" });
  #modes = { plain: false, differences: false, together: false, ...kept(KEPT, {}) };
  #pair = null;

  /** `left`, `right`: where the replies go. `place`: the element before which the toggles go. */
  constructor(left, right, place) {
    this.#left = left;
    this.#right = right;
    this.#scrollSync = new ScrollSync(left, right);
    const bar = element("div", { id: "toggles", role: "group", "aria-label": "How the replies are shown" }, this.#note);
    for (const [name, [text, key, title]] of Object.entries(TOGGLES)) {
      const button = element("button", { type: "button", id: `toggle-${name}`, title, "aria-keyshortcuts": key }, text);
      button.append(element("kbd", { "aria-hidden": "true" }, key));
      button.addEventListener("click", () => this.toggle(name));
      this.#buttons[name] = button;
      bar.append(button);
    }
    place.before(bar);
    this.#apply();
  }

  /** What is needed to show a pair at once: { left, right } in `pair`, as HTML and as text. */
  prepare(pair) {
    const texts = { left: pair.left_text, right: pair.right_text };
    const prepared = { source: pair, texts, built: null, modes: null, remark: "" };
    this.#build(prepared);
    return prepared;
  }

  show(prepared) {
    this.#pair = prepared;
    this.#scrollSync.reset();
    this.#fill();
  }

  toggle(name) {
    this.#modes = { ...this.#modes, [name]: !this.#modes[name] };
    keep(KEPT, this.#modes);
    this.#apply();
    if (this.#pair) this.#fill();
  }

  #apply() {
    for (const [name, button] of Object.entries(this.#buttons)) {
      button.setAttribute("aria-pressed", String(this.#modes[name]));
    }
    this.#scrollSync.isOn = this.#modes.together;
  }

  #fill() {
    this.#build(this.#pair);
    this.#left.replaceChildren(this.#pair.built.left);
    this.#right.replaceChildren(this.#pair.built.right);
    setText(this.#note, this.#pair.remark);
  }

  /** The nodes of a pair as the toggles want them, unless they are there. */
  #build(prepared) {
    const modes = `${this.#modes.plain} ${this.#modes.differences}`;
    if (prepared.modes === modes) return;
    const { source } = prepared;
    const thoughts = {}; // they come back once the replies alone are compared
    const make = (side) => {
      const made = prose(source[`${side}_html`]);
      thoughts[side] = made.querySelector("details.thought");
      thoughts[side]?.remove();
      return this.#modes.plain ? plain(source[`${side}_text`]) : made;
    };
    const built = { left: make("left"), right: make("right") };
    const remark = this.#modes.differences ? markDifferences(built.left, built.right) : "";
    for (const side of ["left", "right"]) {
      if (thoughts[side]) built[side].prepend(thoughts[side]);
      if (source[`${side}_unfinished`]) built[side].append(element("p", { class: "cut" }, "Cut at the length limit"));
    }
    Object.assign(prepared, { built, modes, remark });
  }
}

/** HTML that the server has made safe. */
export function prose(html) {
  const made = element("div", { class: "text" });
  made.innerHTML = html;
  return made;
}

function plain(text) {
  return element("div", { class: "text" }, element("pre", { class: "plain", dir: "auto" }, text));
}
