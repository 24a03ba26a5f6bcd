// @ts-check
// Who this tab is to the server: the "holder" of its leases.
//
// The id lives in sessionStorage, so a reload gets the same pairs back and another tab gets others.
// A duplicated tab inherits the id; a Web Lock tells it that the id is taken, and it makes a new one.

import { newId } from "../shared/dom.js";

const KEY = "livedpo.holder";
const RELOAD_MS = 1000; // the page that is being replaced may still have the lock for a moment

/** This tab's id, held until the tab closes. */
export async function claimHolder() {
  const kept = sessionStorage.getItem(KEY);
  if (kept && (await hold(kept, { signal: AbortSignal.timeout(RELOAD_MS) }))) return kept;
  const fresh = newId();
  sessionStorage.setItem(KEY, fresh);
  await hold(fresh, {});
  return fresh;
}

/** Whether no open tab is this holder. Without Web Locks (plain http) nobody can say: false.
 *
 * @param {string} holder */
export async function isGone(holder) {
  if (!navigator.locks) return false;
  return navigator.locks.request(name(holder), { ifAvailable: true }, (lock) => lock !== null);
}

/**
 * @param {string} holder
 * @param {LockOptions} options */
function hold(holder, options) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const forever = () => {
      resolve(true);
      return new Promise(() => {});
    };
    navigator.locks.request(name(holder), options, forever).catch(() => resolve(false));
  });
}

/** @param {string} holder */
function name(holder) {
  return `livedpo.holder.${holder}`;
}
