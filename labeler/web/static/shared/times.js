// @ts-check
// Times as people read them. Seconds since 1970 come in, local time goes out.

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const ticking = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** "14:05:09".
 *
 * @param {number} seconds */
export function second(seconds) {
  return ticking.format(new Date(seconds * 1000));
}

/** "14:05" today, else "3 Mar, 14:05".
 *
 * @param {number} seconds
 * @param {number} now */
export function moment(seconds, now = Date.now() / 1000) {
  const date = new Date(seconds * 1000);
  const today = new Date(now * 1000).toDateString() === date.toDateString();
  return today ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
}

/** "3 Mar" or "14:05", as fits buckets of so many seconds.
 *
 * @param {number} seconds
 * @param {number} bucket */
export function tick(seconds, bucket) {
  return (bucket >= DAY / 4 ? day : clock).format(new Date(seconds * 1000));
}

/** Date and time to the second.
 *
 * @param {number} seconds */
export function exactly(seconds) {
  return full.format(new Date(seconds * 1000));
}

/** "8 s", "3 min", "2 h", "4 days".
 *
 * @param {number} seconds */
export function span(seconds) {
  if (seconds < 90) return `${seconds < 10 ? trimmed(seconds) : Math.round(seconds)} s`;
  if (seconds < 90 * MINUTE) return `${Math.round(seconds / MINUTE)} min`;
  if (seconds < 36 * HOUR) return `${Math.round(seconds / HOUR)} h`;
  return `${Math.round(seconds / DAY)} days`;
}

/** A <time> element with the exact time at hand.
 *
 * @param {number} seconds
 * @param {string} text */
export function timeElement(seconds, text = moment(seconds)) {
  const made = document.createElement("time");
  made.dateTime = new Date(seconds * 1000).toISOString();
  made.title = exactly(seconds);
  made.textContent = text;
  return made;
}

/** @param {number} seconds */
function trimmed(seconds) {
  return String(Math.round(seconds * 10) / 10);
}
