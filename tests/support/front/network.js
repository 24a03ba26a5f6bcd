// @ts-check
// A network between a page and the service: it loses, delays, doubles and reorders.

import { Refused, Unreachable } from "../../../labeler/web/static/shared/send.js";

const PATIENCE_MS = 15_000; // after which the page gives up; the request may still arrive
const NAMES = ["pairs", "votes", "reasons", "undo", "history", "state"];

export class Network {
  #clock;
  #service;
  #random;
  /** Whether it fails at all. */
  isFaulty = true;

  constructor({ clock, service, random }) {
    [this.#clock, this.#service, this.#random] = [clock, service, random];
  }

  /** What a page has of it: the functions of server.js, until `close` cuts it off. */
  connect() {
    const line = { isOpen: true };
    const routes = NAMES.map((name) => [name, (body) => this.#request(line, name, structuredClone(body))]);
    return { server: Object.fromEntries(routes), close: () => (line.isOpen = false) };
  }

  #request(line, name, body) {
    return new Promise((resolve, reject) => {
      if (!line.isOpen) return; // the page is gone: nothing is sent, and nobody waits
      const settle = (act) => line.isOpen && act();
      const refuse = (error, wait) => this.#after(wait, () => settle(() => reject(error)));
      const giveUp = (wait) => this.#after(wait, () => settle(() => reject(new Unreachable(`no answer to ${name}`))));
      const arrive = (wait, tell) => this.#after(wait, () => tell(this.#service.answer(name, body)));
      const wait = this.#random.below(300);
      const ignored = () => {};
      switch (this.isFaulty ? this.#random.below(12) : 11) {
        case 0: // lost on its way
          return giveUp(wait);
        case 1: // lost on the way back
          arrive(wait, ignored);
          return giveUp(wait + 1);
        case 2: // late: the page has given up, and may have sent it again
          arrive(PATIENCE_MS + this.#random.below(20_000), ignored);
          return giveUp(PATIENCE_MS);
        case 3: // doubled on its way, the second one late
          arrive(wait, (answer) => settle(() => resolve(answer)));
          return arrive(wait + this.#random.below(20_000), ignored);
        case 4: // a proxy or a server in trouble
          return refuse(new Refused("The service is starting.", 503), wait);
        case 5: // the login ended
          return refuse(new Refused("Log in again.", 401), wait);
        default:
          return arrive(wait, (answer) => this.#after(wait, () => settle(() => resolve(answer))));
      }
    });
  }

  #after(wait, act) {
    this.#clock.at(this.#clock.now + wait, act);
  }
}
