// @ts-check
// The header of every page: what the page puts there, other pages, who is logged in, and the way out.

import { at, here } from "./base.js";
import { byId, element, setText } from "./dom.js";
import { Refused, send } from "./send.js";
import { loginUrl } from "./who.js";

/** @typedef {import("./who.js").Me} Me */

/** @type {[string, string, string[]][]} Name, path, and who may open it. */
const PAGES = [
  ["Rate", "/", ["rater", "reviewer", "admin"]],
  ["Dashboard", "/dashboard", ["reviewer", "admin"]],
  ["Labels", "/labels", ["reviewer", "admin"]],
];

/** Put a page's own things into its header, and behind them the pages that one may open, one's name and
 *  the way out.
 *
 * @param {Me} me
 * @param {...Node} own */
export function fillHeader(me, ...own) {
  const header = byId("top");
  const style = new URL("header.css", import.meta.url).pathname;
  document.head.append(element("link", { rel: "stylesheet", href: style }));
  header.setAttribute("role", "banner");
  header.append(...own);
  const open = PAGES.filter(([, , roles]) => roles.includes(me.role));
  const links = open.length > 1 ? open : [];
  if (links.length) header.append(element("nav", { class: "who-pages", "aria-label": "Pages" }, ...links.map(link)));
  if (links.length || !me.single_user) header.append(menu(me, links));
  tellWhenLoggedOut(me);
}

/**
 * @param {Me} me
 * @param {typeof PAGES} links */
function menu(me, links) {
  const name = element("bdi", { class: "who-name" }, me.single_user ? "Menu" : me.name);
  const label = me.single_user ? "Menu" : `Account of ${me.name}`;
  const summary = element("summary", { "aria-label": label, title: label }, name);
  const list = element("div", { class: "who-list" });
  if (links.length) list.append(element("div", { class: "who-links" }, ...links.map(link)));
  if (!me.single_user) {
    list.append(element("p", {}, "Logged in as ", element("bdi", {}, me.name), `, ${me.role}`));
    const password = at(`/login?to=${encodeURIComponent(here())}#password`);
    list.append(element("a", { href: password }, "Change password"), logoutButton());
  }
  const made = element("details", { class: `who${me.single_user ? " who-single" : ""}` }, summary, list);
  closeEasily(made, summary);
  return made;
}

/** @param {[string, string, string[]]} page */
function link([name, path]) {
  const made = element("a", { href: at(path) }, name);
  if (here() === path) made.setAttribute("aria-current", "page");
  return made;
}

function logoutButton() {
  const button = element("button", { type: "button" }, "Log out");
  button.addEventListener("click", async () => {
    try {
      await send("/door/logout", {});
    } catch (error) {
      if (!(error instanceof Refused)) return setText(button, "No connection. Try again");
    }
    location.assign(at("/login"));
  });
  return button;
}

/** A click elsewhere and Escape close the menu.
 *
 * @param {HTMLDetailsElement} details
 * @param {HTMLElement} summary */
function closeEasily(details, summary) {
  document.addEventListener("click", (event) => {
    if (event.target instanceof Node && !details.contains(event.target)) details.open = false;
  });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !details.open) return;
    event.stopPropagation();
    details.open = false;
    summary.focus();
  });
}

/** A bar over the page while the server says that nobody is logged in, or somebody else, or that it is
 *  another service.
 *
 * @param {import("./who.js").Me} me */
function tellWhenLoggedOut({ single_user: isOpen }) {
  const words = element("span");
  const again = element("a");
  const bar = element("div", { class: "who-out", role: "alert" });
  document.body.append(bar);
  document.addEventListener("logged-out", (event) => {
    const { error, another } = /** @type {CustomEvent<import("./send.js").Out>} */ (event).detail;
    const isLogin = !isOpen && !another;
    setText(words, `${isLogin ? "You are logged out. " : ""}${error} Unsaved votes are kept in this browser.`);
    setText(again, isLogin ? "Log in again" : "Reload");
    again.href = isLogin ? loginUrl() : at(here());
    bar.replaceChildren(words, again);
  });
  document.addEventListener("logged-in", () => bar.replaceChildren());
}
