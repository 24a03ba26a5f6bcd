// @ts-check
// What the plots show: labels, times and the queue over time; versions one by one.

import { counted } from "../shared/dom.js";
import { isNumber, percent } from "../shared/numbers.js";
import { Plot } from "../shared/plot.js";
import { moment, second, span, tick } from "../shared/times.js";

/** What was counted in each bucket of seconds since `start`.
 *
 * @typedef {object} Counts
 * @property {number} start
 * @property {number} bucket
 * @property {number[]} human
 * @property {number[]} judge
 * @property {({ value: number, low: number, high: number, count: number } | null)[]} seconds */

const DAY = 86_400;
const NOT_LIVE = "hollow: not made live";

export class SeriesPlots {
  #labels = new Plot("Labels", "plot-labels");
  #seconds = new Plot("Time for a vote", "plot-seconds", "Median for people; the band covers the middle half.");
  #ready = new Plot("Pairs ready", "plot-ready", "At most the last 30 minutes, while anyone had this page open.");
  #pairs = new Plot("Pairs by state", "plot-pairs");

  /** @param {HTMLElement} place */
  constructor(place) {
    place.append(...[this.#labels, this.#seconds, this.#ready, this.#pairs].map((plot) => card(plot)));
  }

  /** @param {{ series: Counts, ready: [at: number, count: number][], tiles: Record<string, number>, queue_pairs: number, now: number }} figures */
  show({ series, ready, tiles, queue_pairs: queue, now }) {
    const x = times(series, now);
    this.#labels.draw({
      x,
      y: { title: `labels in ${bucketText(series.bucket)}`, text: whole, low: 0, whole: true },
      series: [
        { name: "people", kind: "bars", values: series.human },
        { name: "judge", kind: "bars", values: series.judge },
      ],
      empty: sum(series.human) + sum(series.judge) ? null : "No labels in this period.",
    });
    /** @type {(key: "value" | "low" | "high") => (number | null)[]} */
    const at = (key) => series.seconds.map((found) => (found ? found[key] : null));
    this.#seconds.draw({
      x,
      y: { title: "seconds", text: String, full: (value) => `${value} s`, low: 0 },
      series: [{ name: "median", kind: "line", values: at("value"), low: at("low"), high: at("high"), notes: votes(series.seconds) }],
      empty: series.seconds.some(Boolean) ? null : "No votes by people in this period.",
    });
    this.#ready.draw({
      x: { title: "time", names: ready.map(([at]) => second(at)), ticks: ready.map(([at]) => moment(at, now)) },
      y: { title: "pairs", text: whole, low: 0, whole: true },
      series: [{ name: "ready", kind: "line", values: ready.map(([, count]) => count) }],
      mark: { value: queue, text: `dashed: ${queue} are kept ready` },
      empty: ready.length > 1 ? null : "The first points will appear within seconds.",
    });
    const states = ["ready", "leased", "labelled", "expired"];
    this.#pairs.draw({
      x: { title: "state", names: ["ready", "held by a page", "labelled", "expired"], ticks: states.map((name) => (name === "leased" ? "held" : name)) },
      y: { title: "pairs", text: whole, low: 0, whole: true },
      series: [{ name: "pairs", kind: "bars", values: states.map((name) => tiles[name]) }],
      empty: states.some((name) => tiles[name]) ? null : "No pairs yet. The worker makes the first ones once it has loaded the policy.",
    });
  }
}

export class VersionPlots {
  #win = new Plot("Win rate", "plot-win", "Against the version before, according to the judge; 95 % interval.");
  #score = new Plot("Score", "plot-score", "The judge's mean score for a version's replies; 95 % interval.");
  #kl = new Plot("KL divergence", "plot-kl", "How far a version has moved, in nats per token.");
  #tokens = new Plot("Length", "plot-tokens", "Mean tokens per reply.");

  /** @param {HTMLElement} place */
  constructor(place) {
    place.append(...[this.#win, this.#score, this.#kl, this.#tokens].map((plot) => card(plot)));
  }

  /** @param {any} figures */
  show({ versions, judge_set: judge }) {
    /** @type {any[]} */
    const made = versions.filter((/** @type {any} */ version) => version.id > 0);
    const none = made.length ? null : "No versions yet. The first update starts when there are enough labels.";
    const x = { title: "version", names: made.map(({ id }) => `Version ${id}`), ticks: made.map(({ id }) => String(id)) };
    const hollow = made.map(({ state }) => state === "rejected" || state === "candidate");
    /** @type {(name: string, key: string) => (number | null)[]} */
    const figure = (name, key) => made.map((version) => (isNumber(version[name]?.[key]) ? version[name][key] : null));
    const noJudge = judge ? "The judge has compared none of these versions." : "No judge is set (--judge), so versions are not compared.";
    this.#win.draw({
      x,
      y: { title: "wins", text: percent, low: 0, high: 1 },
      series: [{ name: "win rate", kind: "points", values: figure("win_rate", "value"), low: figure("win_rate", "low"), high: figure("win_rate", "high"), hollow, notes: made.map((version) => pairText(version.win_rate?.count)) }],
      mark: { value: 0.5, text: "dashed: as good as the version before" },
      legendNote: NOT_LIVE,
      empty: none ?? (figure("win_rate", "value").some(isNumber) ? null : noJudge),
    });
    this.#score.draw({
      x,
      y: { title: "score", text: rounded },
      series: [{ name: "score", kind: "points", values: figure("score", "value"), low: figure("score", "low"), high: figure("score", "high"), hollow, notes: made.map((version) => pairText(version.score?.count)) }],
      empty: none ?? (figure("score", "value").some(isNumber) ? null : "No judge has scored these versions. Judges that compare replies give no scores."),
    });
    /** @type {(name: string) => (number | null)[]} */
    const plain = (name) => made.map((version) => (isNumber(version[name]) ? version[name] : null));
    this.#kl.draw({
      x,
      y: { title: "nats per token", text: (value) => String(Number(value.toPrecision(2))), full: (value) => value.toFixed(3), low: 0 },
      series: [
        { name: "from the base", kind: "line", values: plain("kl_reference") },
        { name: "from the version before", kind: "line", values: plain("kl_live") },
      ],
      empty: none ?? (plain("kl_reference").some(isNumber) ? null : "The gate has measured none of these versions."),
    });
    this.#tokens.draw({
      x,
      y: { title: "tokens", text: rounded, full: (value) => value.toFixed(1), low: 0 },
      series: [{ name: "mean length", kind: "line", values: plain("tokens") }],
      empty: none ?? (plain("tokens").some(isNumber) ? null : "The gate has measured none of these versions."),
    });
  }
}

/** @param {Plot} plot */
function card(plot) {
  plot.node.classList.add("card");
  return plot.node;
}

/**
 * @param {Counts} series
 * @param {number} now */
function times({ start, bucket, human }, now) {
  const starts = human.map((_, index) => start + index * bucket);
  /** @type {(at: number) => string} */
  const name = bucket >= DAY ? (at) => tick(at, bucket) : (at) => moment(at, now);
  return { title: bucket >= DAY ? "day" : "time", names: starts.map(name), ticks: starts.map((at) => tick(at, bucket)) };
}

/** @param {number} seconds */
function bucketText(seconds) {
  return seconds === DAY ? "a day" : seconds === 60 ? "a minute" : seconds === 3600 ? "an hour" : span(seconds);
}

/** @param {({ count: number } | null)[]} found */
function votes(found) {
  return found.map((each) => (each ? counted(each.count, "vote") : null));
}

/** @param {number} count */
function pairText(count) {
  return isNumber(count) ? counted(count, "pair") : null;
}

/** @param {number} value */
function whole(value) {
  return Math.round(value).toLocaleString("en-GB");
}

/** @param {number} value */
function rounded(value) {
  return String(Number(value.toFixed(2)));
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
