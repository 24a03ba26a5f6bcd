// @ts-check
// Who is logged in.

import { at, here } from "./base.js";
import { Refused, send, setPerson } from "./send.js";

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 4_000;

/** `owner`: this person at this service, as no other one is named. `service`: null before it has a version.
 *
 * @typedef {{ service: string | null, rater_id: number, owner: string, name: string, role: string, single_user: boolean }} Me */

/** Who this page is for. Asks until it is told.
 *
 * Without a login it leads to the login page and never comes back.
 *
 * @returns {Promise<Me>} */
export async function whoAmI() {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.6, MAX_PAUSE_MS)) {
    try {
      const me = await send("/door/me");
      const owner = me.service ? `${me.service}.${me.rater_id}` : String(me.rater_id);
      setPerson(owner);
      return { ...me, owner };
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        location.replace(loginUrl());
        return new Promise(() => {});
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** The login page, which leads back here. */
export function loginUrl() {
  return at(`/login?to=${encodeURIComponent(here())}${location.hash}`);
}
