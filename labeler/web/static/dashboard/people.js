// @ts-check
// Accounts: invite, new link, role, disable. A link is shown once, and only here.

import { ask } from "../shared/ask.js";
import { at } from "../shared/base.js";
import { MAX_NAME_CHARS } from "../shared/bounds.js";
import { byId, element, redraw, setText } from "../shared/dom.js";
import { send } from "../shared/send.js";
import { timeElement } from "../shared/times.js";
import { toast } from "../shared/toast.js";

/** @type {Record<string, string>} */
const ROLES = { rater: "Rater", reviewer: "Reviewer", admin: "Admin" };
/** @type {Record<string, string>} */
const RIGHTS = {
  rater: "Raters rate, and see nothing else.",
  reviewer: "Reviewers also see the dashboard and all labels, and set labels aside.",
  admin: "Admins also manage versions, accounts and exports.",
};
/** @type {Record<string, string>} */
const KINDS = { active: "good", invited: "warn", disabled: "bad" };

export class People {
  #me;
  #table = element("div", { class: "scroll", role: "region", "aria-label": "Accounts", tabindex: "0" });
  #link = element("div", { class: "invite-link", role: "status" });

  /** @param {import("../shared/who.js").Me} me */
  constructor(me) {
    this.#me = me;
    byId("people").hidden = false;
    byId("people-body").append(this.#lead(), this.#form(), this.#link, this.#table);
  }

  async look() {
    try {
      this.#show((await send("/people")).people);
    } catch (error) {
      toast(error.message);
    }
  }

  #lead() {
    const single = "There is no login yet: everyone at this machine is the same user. Once the first account exists, which must be an admin's, everyone has to log in, including you.";
    return element("p", { class: "soft" }, this.#me.single_user ? single : Object.values(RIGHTS).join(" "));
  }

  #form() {
    const name = element("input", { id: "invite-name", class: "field", maxlength: MAX_NAME_CHARS, required: "", autocomplete: "off", dir: "auto" });
    const role = roleSelect("invite-role", this.#me.single_user ? "admin" : "rater");
    /** @type {(id: string, text: string, field: HTMLElement) => HTMLElement} */
    const labelled = (id, text, field) => element("div", {}, element("label", { for: id }, text), field);
    const button = element("button", { type: "submit", class: "button primary" }, "Invite");
    const form = element("form", { class: "invite" }, labelled("invite-name", "Name", name), labelled("invite-role", "Role", role), button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#act(async () => {
        const { token } = await send("/people", { name: name.value, role: role.value });
        this.#showLink(name.value.trim(), token);
        name.value = "";
      });
    });
    return form;
  }

  /** @param {any[]} people */
  #show(people) {
    const names = ["Name", "Role", "State", "Since", "Actions"];
    const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
    const table = element("table", {}, element("caption", { class: "sr-only" }, "Accounts"), element("thead", {}, head), element("tbody", {}, ...people.map((person) => this.#row(person))));
    const row = document.activeElement?.closest("tr");
    redraw(this.#table, () => this.#table.replaceChildren(table), () => this.#selectOf(row));
  }

  /** @param {any} person */
  #row(person) {
    const chip = element("span", { class: `chip ${KINDS[person.state]}` }, person.state);
    return element(
      "tr",
      { "data-person": person.id },
      element("th", { scope: "row" }, element("bdi", {}, person.name)),
      element("td", {}, this.#role(person)),
      element("td", {}, chip),
      element("td", {}, timeElement(person.created_at)),
      element("td", {}, element("div", { class: "actions" }, ...this.#buttons(person))),
    );
  }

  /** @param {any} person */
  #role(person) {
    const select = roleSelect(null, person.role, `Role of ${person.name}`);
    select.addEventListener("change", () => {
      const role = select.value;
      select.value = person.role; // until it is another
      this.#act(() => this.#changeRole(person, role));
    });
    return select;
  }

  /**
   * @param {any} person
   * @param {string} role */
  async #changeRole(person, role) {
    const own = person.id === this.#me.rater_id ? ["It is your own account: accounts are then no longer yours to manage."] : [];
    const title = `Change the role of ${person.name} to ${ROLES[role]}?`;
    if (!(await ask({ title, lines: [RIGHTS[role], ...own], verb: "Change the role" }))) return;
    await send(`/people/${person.id}/role`, { role });
    return `${person.name} has the role ${role} now.`;
  }

  /** @param {any} person */
  #buttons(person) {
    /** @type {(text: string, act: () => Promise<string | void>) => HTMLElement} */
    const button = (text, act) => {
      const made = element("button", { type: "button", class: "button small", "aria-label": `${text}: ${person.name}` }, text);
      made.addEventListener("click", () => this.#act(act));
      return made;
    };
    if (person.state === "disabled") return [button("Enable", () => this.#enable(person))];
    return [button("New link", () => this.#newLink(person)), button("Disable", () => this.#disable(person))];
  }

  /** @param {any} person */
  async #newLink(person) {
    const question = {
      title: `A new link for ${person.name}?`,
      lines: ["They use it to set a new password. It works once, within three days. Earlier links stop working. Their current password works until then."],
      verb: "Make the link",
    };
    if (!(await ask(question))) return;
    const { token } = await send(`/people/${person.id}/invite`, {});
    this.#showLink(person.name, token);
  }

  /** @param {any} person */
  async #disable(person) {
    const lines = ["They are logged out at once, and their unrated pairs go back to the queue. Their votes stay."];
    if (!(await ask({ title: `Disable ${person.name}?`, lines, verb: "Disable", danger: true }))) return;
    await send(`/people/${person.id}/disable`, {});
    return `${person.name} is disabled.`;
  }

  /** @param {any} person */
  async #enable(person) {
    await send(`/people/${person.id}/enable`, {});
    return `${person.name} is enabled.`;
  }

  /** Do something, and say what it returns.
   *
   * @param {() => Promise<string | void>} act */
  async #act(act) {
    const row = document.activeElement?.closest("tr");
    try {
      const outcome = await act();
      if (outcome) toast(outcome);
    } catch (error) {
      toast(error.status ? error.message : "The service did not answer. Check whether it worked before you try again.");
    }
    await this.look();
    if (document.activeElement !== document.body) return;
    this.#selectOf(row)?.focus(); // a table that was drawn meanwhile had lost it
  }

  /**
   * @param {HTMLTableRowElement | null | undefined} row The one of this person, of now or before.
   * @returns {HTMLElement | null} */
  #selectOf(row) {
    return this.#table.querySelector(`[data-person="${row?.dataset.person}"] select`);
  }

  /**
   * @param {string} name
   * @param {string} token */
  #showLink(name, token) {
    const url = `${location.origin}${at("/login")}#invite=${token}`;
    const field = element("input", { id: "invite-url", class: "field", readonly: "", value: url });
    const copy = element("button", { type: "button", class: "button" }, "Copy");
    copy.addEventListener("click", async () => setText(copy, (await copied(url, field)) ? "Copied" : "Press Ctrl+C"));
    const label = element("label", { for: "invite-url" }, "The link for ", element("bdi", {}, name), ". Send it to no one else. It is shown only now, works once, and expires in three days.");
    this.#link.replaceChildren(label, element("div", { class: "row" }, field, copy));
    field.focus(); // Ctrl+C copies it; select() alone gives the focus in some browsers only
    field.select();
  }
}

/**
 * @param {string | null} id
 * @param {string} chosen
 * @param {string | null} label */
function roleSelect(id, chosen, label = null) {
  const options = Object.entries(ROLES).map(([value, name]) => element("option", { value }, name));
  /** @type {Record<string, string>} */
  const attributes = { class: "field", ...(id ? { id } : {}), ...(label ? { "aria-label": label } : {}) };
  const select = element("select", attributes, ...options);
  select.value = chosen;
  return select;
}

/** The clipboard exists on secure origins only; elsewhere the text is selected for Ctrl+C.
 *
 * @param {string} text
 * @param {HTMLInputElement} field */
async function copied(text, field) {
  field.select();
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
