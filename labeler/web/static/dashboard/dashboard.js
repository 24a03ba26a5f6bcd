// @ts-check
// The dashboard: asks for the figures every other second while it is looked at, and shows them.
//
//   figures -> tiles.js, series.js (plots), history.js (updates), judged.js, trust.js
//
// People and downloads are an admin's; the server decides who that is.

import { byId, element, setText } from "../shared/dom.js";
import { fillHeader } from "../shared/header.js";
import { putText, textUnder } from "../shared/kept.js";
import { send } from "../shared/send.js";
import { whoAmI } from "../shared/who.js";
import { showDownloads } from "./downloads.js";
import { History } from "./history.js";
import { showJudge } from "./judged.js";
import { People } from "./people.js";
import { SeriesPlots, VersionPlots } from "./series.js";
import { showAlarms, showProcesses, showTiles } from "./tiles.js";
import { Trust } from "./trust.js";

const LOOK_MS = 2_000;
const TRUST_MS = 30_000;
const RANGE_KEY = "livedpo.dashboard-range";
const RANGES = { hour: "Hour", day: "Day", week: "Week", month: "Month", all: "All" };

async function start() {
  const me = await whoAmI();
  fillHeader(me);
  const mayAct = me.role === "admin";
  const dashboard = new Dashboard(mayAct);
  showRanges(dashboard);
  dashboard.look();
  setInterval(() => document.hidden || dashboard.look(), LOOK_MS);
  document.addEventListener("visibilitychange", () => document.hidden || dashboard.look());
  const trust = new Trust();
  trust.look();
  setInterval(() => document.hidden || trust.look(), TRUST_MS);
  if (!mayAct) return;
  showDownloads();
  new People(me).look();
}

class Dashboard {
  range = storedRange();
  #series = new SeriesPlots(byId("plots-time"));
  #versions = new VersionPlots(byId("plots-versions"));
  #history;
  #asked = 0;
  #shown = 0;

  /** @param {boolean} mayAct */
  constructor(mayAct) {
    this.#history = new History(mayAct, () => this.look());
  }

  async look() {
    const number = ++this.#asked;
    const offset = -60 * new Date().getTimezoneOffset();
    try {
      const figures = await send(`/dashboard/figures?range=${this.range}&offset=${offset}`);
      if (number < this.#shown) return; // a later answer was quicker
      this.#shown = number;
      this.#show(figures);
    } catch {
      showStale();
    }
  }

  /** @param {any} figures */
  #show(figures) {
    byId("stale").hidden = true;
    showAlarms(figures.alarms);
    showTiles(figures);
    showProcesses(figures);
    this.#series.show(figures);
    this.#versions.show(figures);
    this.#history.show(figures);
    showJudge(figures);
    document.body.dataset.ready = "true";
  }
}

function showStale() {
  const place = byId("stale");
  place.hidden = false;
  setText(place, "The service is not answering, so these figures may be old. Trying again every two seconds.");
}

/** @param {Dashboard} dashboard */
function showRanges(dashboard) {
  const buttons = Object.entries(RANGES).map(([range, name]) => {
    const button = element("button", { type: "button", class: "button small", "data-range": range }, name);
    button.addEventListener("click", () => {
      dashboard.range = range;
      putText(RANGE_KEY, range);
      mark();
      dashboard.look();
    });
    return button;
  });
  const mark = () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.range === dashboard.range));
  };
  mark();
  byId("ranges").append(...buttons);
}

function storedRange() {
  const stored = textUnder(RANGE_KEY) ?? "";
  return stored in RANGES ? stored : "day";
}

start();
