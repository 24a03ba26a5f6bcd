// @ts-check
// A tab with the rating page, without a screen: what a rater does and is told, and how it ends.

import { Outbox, REASONS } from "../../../labeler/web/static/rating/outbox.js";
import { Rating } from "../../../labeler/web/static/rating/rating.js";
import { openTabs } from "./browser.js";

const RATER = "5a.7"; // at this service
const SEEN = { takes: () => true, shows: () => {} };
const WATCH = { start: () => {}, stop: () => {}, seconds: () => 1 };

/** What the page would show, as values. */
class Screen {
  /** @type {string[]} */
  told = [];
  counted_votes = 0;
  waiting = 0;
  isUndoing = false;

  /**
   * @param {any} pair
   * @returns {any} */
  prepare({ lease_id: leaseId, version, line }) {
    return { leaseId, version, line, seen: false, own: false, watch: { ...WATCH }, replies: null };
  }

  counted(change) {
    this.counted_votes += change;
  }

  complain(sentence) {
    this.told.push(sentence);
  }

  refused(kind, sentence) {
    this.told.push(`A ${kind} was not saved: ${sentence}`);
  }

  delivery(waiting) {
    this.waiting = waiting;
  }

  undoing(isUndoing) {
    this.isUndoing = isUndoing;
  }

  show() {}
  took() {}
  stored() {}
  swallowed() {}
  explained() {}
  see() {}
  connected() {}
  disconnected() {}
}

/** Open the page of this holder: a new tab, or one that is reloaded. */
export async function openTab(network, holder) {
  openTabs.add(holder);
  const { server, close } = network.connect();
  /** @type {Outbox<any>} */
  const outbox = new Outbox(holder, RATER);
  /** @type {Outbox<any>} */
  const reasons = new Outbox(holder, RATER, REASONS);
  await outbox.adopt();
  await reasons.adopt();
  const screen = new Screen();
  const rating = new Rating({ holder, server, outbox, reasons, seen: SEEN, view: screen });
  rating.sync();
  const shut = () => {
    close();
    openTabs.delete(holder);
  };
  return { holder, rating, screen, outbox, reasons, shut };
}
