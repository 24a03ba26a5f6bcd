// @ts-check
// Before and after: when a version goes live, one prompt that this rater voted on, with the replies
// that they chose from beside what the version says now. Beside the pair, until it is dismissed.

import { button } from "../shared/dialog.js";
import { byId, element, setText } from "../shared/dom.js";
import { prose } from "./replies.js";

/** What the server tells of it, with texts as HTML that it has made safe.
 *
 * @typedef {object} Shown
 * @property {number} version
 * @property {string} title
 * @property {string} text
 * @property {string} prompt_html
 * @property {[name: string, html: string][]} replies */

export class FollowUp {
  #server;
  #title = element("h2");
  #text = element("p", { role: "status" });
  #body = element("div", { class: "texts" });
  #section = element("section", { id: "follow-up", "aria-label": "Before and after" });
  /** @type {number | null} The version that is shown, or that is being asked for. */
  #version = null;

  /** @param {Pick<import("./server.js").Server, "followUp" | "sawFollowUp">} server */
  constructor(server) {
    this.#server = server;
    const dismiss = button("Dismiss", () => this.#dismiss(), { id: "dismiss-follow-up" });
    this.#section.append(this.#title, this.#text, this.#body, dismiss);
    this.#section.hidden = true;
    byId("panel").firstElementChild?.after(this.#section); // below the progress, which stays where it is
  }

  /** Show what is new; hide what was seen, here or in another tab.
   *
   * @param {import("./server.js").State} state */
  see(state) {
    const version = state.follow_up ?? null;
    if (version === this.#version) return;
    this.#version = version;
    this.#section.hidden = true;
    if (version !== null) this.#show(version);
  }

  /** @param {number} version */
  async #show(version) {
    try {
      const { follow_up: shown } = await this.#server.followUp();
      if (shown?.version !== version || this.#version !== version) return;
      this.#section.hidden = false;
      setText(this.#title, shown.title);
      this.#body.replaceChildren(...texts(shown));
      setText(this.#text, shown.text);
    } catch {
      this.#version = null; // the next state tells it again
    }
  }

  #dismiss() {
    const version = this.#version;
    if (version === null) return;
    this.#section.hidden = true;
    byId("open-changes").focus(); // nearby: there it can be seen again
    this.#server.sawFollowUp(version).catch(() => {
      this.#version = null; // not stored, so it comes back
    });
  }
}

/** The prompt and the replies, a part each; long ones scroll, so they can be reached by keyboard.
 *
 * @param {Shown} shown */
export function texts({ prompt_html, replies }) {
  /** @type {[string, string][]} */
  const parts = [["Prompt", prompt_html], ...replies];
  return parts.map(([name, html]) =>
    element("div", { class: "side", role: "group", tabindex: "0", "aria-label": name }, element("h4", {}, name), prose(html)),
  );
}
