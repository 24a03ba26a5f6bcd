// @ts-check
// The login page, in one of three ways:
//
//   /login              a name and a password
//   /login#invite=…     a one-time link: choose a password, and one is in
//   /login#password     another password, for somebody who is logged in
//
// What stands behind the # is sent to nobody, and is taken out of the address bar: an invite once the
// service has answered, so that it can be tried again while that is busy.

import { at } from "../shared/base.js";
import { Refused, send } from "../shared/send.js";
import { byId, setText } from "../shared/dom.js";

const field = {
  name: byId("name", HTMLInputElement),
  password: byId("password", HTMLInputElement),
  fresh: byId("new", HTMLInputElement),
};
const TOO_MANY = 429;
const SERVER_ERROR = 500;
const WAYS = { in: logIn, invite: acceptInvite, password: changePassword };

const asked = new URLSearchParams(location.search);

/** @type {keyof typeof WAYS} */
let way = "in";
/** @type {string | null} */
let invite = null;
let busy = false;

function start() {
  const hash = location.hash.slice(1);
  if (hash.startsWith("invite=")) startInvite(hash.slice("invite=".length));
  else if (hash === "password") startPassword();
  else if (asked.has("away") || asked.has("proxied")) goOnIfLoggedIn();
  byId("form").addEventListener("submit", submit);
  byId("go", HTMLButtonElement).disabled = false; // before, the browser itself would send what was typed
  byId("show").addEventListener("change", showTyped);
  if (way === "in") field.name.focus();
}

/** Somebody was invited: say hello, and ask for the password of their choice.
 *
 * @param {string} token */
async function startInvite(token) {
  way = "invite";
  invite = token;
  dress("Welcome", "Choose a password to log in.", "Set password");
  ask({ name: true, fresh: true });
  field.name.readOnly = true; // for the password manager: this is whose password it is
  try {
    const { name } = await send("/door/accept", { invite });
    forgetHash();
    field.name.value = name;
    setText(byId("title"), `Welcome, ${name}`);
    field.fresh.focus();
  } catch (error) {
    if (!isFinal(error)) return complain(error);
    forgetHash();
    way = "in";
    invite = null;
    field.name.readOnly = false;
    dress("Log in", "Rate pairs of replies, and the model follows.", "Log in");
    ask({ name: true, password: true });
    complain(error);
  }
}

async function startPassword() {
  way = "password";
  forgetHash();
  dress("Change your password", "This logs you out everywhere else.", "Change password");
  ask({ name: true, password: true, fresh: true });
  const label = document.querySelector("label[for=password]");
  if (label) setText(label, "Current password");
  field.name.readOnly = true;
  field.password.focus();
  try {
    field.name.value = (await send("/door/me")).name;
  } catch (error) {
    complain(error);
  }
}

/** A link on another site led here, and the browser hid the cookie: perhaps there is one. Or a proxy
 *  led here that the service was not told of: it says so. */
async function goOnIfLoggedIn() {
  try {
    await send("/door/me");
    leave();
  } catch (error) {
    // Nobody is logged in: the form is there.
    if (asked.has("proxied") && error instanceof Refused) setText(byId("error"), error.message);
  }
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  if (busy) return;
  const empty = Object.values(field).find((input) => !input.disabled && !input.readOnly && !input.value);
  if (empty) {
    mark(empty);
    return setText(byId("error"), "Fill in this field.");
  }
  setBusy(true);
  setText(byId("error"), "");
  try {
    await WAYS[way]();
    leave();
  } catch (error) {
    setBusy(false);
    complain(error);
  }
}

function logIn() {
  return send("/door/login", { name: field.name.value, password: field.password.value });
}

async function acceptInvite() {
  const { name } = await send("/door/accept", { invite, password: field.fresh.value });
  field.name.value = name;
  forgetHash();
}

/** Whether an invite is refused for good: not by a service that is busy or in trouble.
 *
 * @param {unknown} error */
function isFinal(error) {
  return error instanceof Refused && error.status < SERVER_ERROR && error.status !== TOO_MANY;
}

function changePassword() {
  const body = { password: field.password.value, new_password: field.fresh.value };
  return send("/door/password", body);
}

function forgetHash() {
  history.replaceState(null, "", location.pathname + location.search);
}

/** To the page that was asked for, if it is one of ours. */
function leave() {
  location.replace(ownPage(asked.get("to") ?? "/") ?? at("/"));
}

/** The whole address of a page of ours; null if it is none. Browsers drop tabs and take \\ for /, so
 *  what counts is what they make of it. With our origin in front: a path may begin with // too.
 *
 * @param {string} to */
function ownPage(to) {
  if (!to.startsWith("/")) return null;
  let url;
  try {
    url = new URL(to, location.origin);
  } catch {
    return null;
  }
  if (url.origin !== location.origin || url.pathname.startsWith("/login")) return null;
  return url.origin + at(url.pathname) + url.search + location.hash;
}

/** @param {unknown} error */
function complain(error) {
  const sentence = error instanceof Refused ? error.message : "The service cannot be reached. Try again.";
  setText(byId("error"), sentence);
  mark(field.fresh.disabled ? field.password : field.fresh);
}

/** Lead to the field that is wrong.
 *
 * @param {HTMLInputElement} wrong */
function mark(wrong) {
  for (const input of Object.values(field)) input.setAttribute("aria-invalid", String(input === wrong));
  wrong.focus();
  wrong.select();
}

/** @param {boolean} isBusy */
function setBusy(isBusy) {
  busy = isBusy;
  byId("go").setAttribute("aria-disabled", String(isBusy));
}

function showTyped() {
  const type = byId("show", HTMLInputElement).checked ? "text" : "password";
  field.password.type = field.fresh.type = type;
}

/**
 * @param {string} title
 * @param {string} lead
 * @param {string} button */
function dress(title, lead, button) {
  document.title = `${title} – livedpo`;
  setText(byId("title"), title);
  setText(byId("lead"), lead);
  setText(byId("go"), button);
}

/**
 * @param {HTMLInputElement} input
 * @param {string} place  With its label.
 * @param {boolean} isWanted */
function show(input, place, isWanted) {
  input.disabled = !isWanted;
  byId(place).hidden = !isWanted;
}

/** Which fields there are. */
function ask({ name = false, password = false, fresh = false }) {
  show(field.name, "name-field", name);
  show(field.password, "password-field", password);
  show(field.fresh, "new-field", fresh);
  byId("help").hidden = way !== "in";
}

start();
