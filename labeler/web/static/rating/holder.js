// @ts-check
// Who this tab is to the server: the "holder" of its leases.
//
// The id lives in sessionStorage, so a reload gets the same pairs back and another tab gets others.
// A duplicated tab inherits the id; a Web Lock tells it that the id is taken, and it makes a new one.
// Without Web Locks (plain http) an open tab says every so often that it is there.

import { KEPT } from "../shared/base.js";
import { newId } from "../shared/dom.js";
import { keys, putText, textUnder } from "../shared/kept.js";

const KEY = "livedpo.holder";
const ALIVE = `${KEPT}.alive.`;
const RELOAD_MS = 1000; // the page that is being replaced may still have the lock for a moment
const BEAT_MS = 10_000;
const GONE_MS = 120_000; // browsers let a tab that nobody looks at do something once a minute

/** This tab's id, held until the tab closes. */
export async function claimHolder() {
  const kept = textUnder(KEY, "sessionStorage");
  if (kept && (await hold(kept, { signal: AbortSignal.timeout(RELOAD_MS) }))) return kept;
  const fresh = newId();
  putText(KEY, fresh, "sessionStorage");
  await hold(fresh, {});
  return fresh;
}

/** Whether no open tab is this holder.
 *
 * @param {string} holder */
export async function isGone(holder) {
  if (!navigator.locks) return isSilent(holder);
  return navigator.locks.request(name(holder), { ifAvailable: true }, (lock) => lock !== null);
}

/**
 * @param {string} holder
 * @param {LockOptions} options */
function hold(holder, options) {
  if (!navigator.locks) return Promise.resolve(beat(holder));
  return new Promise((resolve) => {
    const forever = () => {
      resolve(true);
      return new Promise(() => {});
    };
    navigator.locks.request(name(holder), options, forever).catch(() => resolve(false));
  });
}

/** Say from now on that this holder is open, unless another tab says so. Returns whether none does.
 *
 * @param {string} holder */
function beat(holder) {
  for (const key of keys().filter((each) => each.startsWith(ALIVE))) {
    if (isSilent(key.slice(ALIVE.length))) putText(key, null);
  }
  if (!isSilent(holder)) return false;
  const say = () => putText(ALIVE + holder, String(Date.now()));
  say();
  setInterval(say, BEAT_MS);
  window.addEventListener("pagehide", () => putText(ALIVE + holder, null));
  // The page came back, by the browser's own buttons: others may have its votes by now.
  window.addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  return true;
}

/** Whether nobody has said for long that this holder is open.
 *
 * @param {string} holder */
function isSilent(holder) {
  const said = Number(textUnder(ALIVE + holder) ?? 0);
  return Math.abs(Date.now() - said) > GONE_MS; // the clock may have been set back
}

/** @param {string} holder */
function name(holder) {
  return `livedpo.holder.${holder}`;
}
