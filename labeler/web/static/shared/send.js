// @ts-check
// One request to the service, for whom this page was opened. Answers are JSON; the rest is an error.
//
// Whoever shows a page hears of the login's end by the document's events "logged-out" (its detail
// is what the server says) and "logged-in".

import { at } from "./base.js";

const PATIENCE_MS = 15_000;
const LOGGED_OUT = 401;
const MAX_KEEPALIVE_BYTES = 60_000; // browsers refuse a keepalive request of 64 KB and more

/** @type {string | null} */
let person = null;
/** What the server says with a 401: its sentence, and whether it is another service that speaks.
 *
 * @typedef {{ error: string, another?: boolean }} Out */

/** @type {string | null} What was said of the end of the login, if it ended. */
let told = null;

/** The server said no, in one sentence. */
export class Refused extends Error {
  /**
   * @param {string} sentence
   * @param {number} status */
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** There was no answer: the connection is down, or the server is. */
export class Unreachable extends Error {}

/** From now on requests are taken only by this person's service, and while it is they who are logged in.
 *
 * @param {string} owner */
export function setPerson(owner) {
  person = owner;
}

/** GET a path, or POST a body to it. Throws Refused or Unreachable.
 *
 * @param {string} path
 * @param {object} [body]
 * @param {RequestInit} options
 * @returns {Promise<any>} */
export async function send(path, body, options = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  /** @type {RequestInit} */
  const request = { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), headers, ...options };
  if (person !== null) headers["x-livedpo-person"] = person;
  if (body) {
    const text = JSON.stringify(body);
    request.method = "POST";
    headers["content-type"] = "application/json";
    request.body = text;
    if (request.keepalive) request.keepalive = byteLength(text) < MAX_KEEPALIVE_BYTES;
  }
  let response;
  let answer;
  try {
    response = await fetch(at(path), request);
    answer = await response.json();
  } catch (error) {
    throw new Unreachable(`no answer to ${path}`, { cause: error });
  }
  tell(response.status === LOGGED_OUT ? answer : null);
  if (!response.ok) throw new Refused(answer.error ?? `error ${response.status}`, response.status);
  return answer;
}

/** Bytes of a text on its way.
 *
 * @param {string} text */
export function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

/** @param {Out | null} out */
function tell(out) {
  const sentence = out?.error ?? null;
  if (sentence === told) return;
  told = sentence;
  document.dispatchEvent(new CustomEvent(out ? "logged-out" : "logged-in", { detail: out }));
}
