// @ts-check
// The figures of this moment: alarms, tiles, and what each process does.

import { SILENT_SECONDS } from "../shared/bounds.js";
import { byId, counted, element, setText } from "../shared/dom.js";
import { interval, isNumber, percent } from "../shared/numbers.js";
import { moment, span } from "../shared/times.js";

const STATES = [
  ["ready", "ready"],
  ["leased", "held"],
  ["labelled", "labelled"],
  ["expired", "expired"],
];
const nodes = new Map();

/** @param {string[]} alarms */
export function showAlarms(alarms) {
  const place = byId("alarms");
  const texts = JSON.stringify(alarms);
  if (place.dataset.shown === texts) return;
  place.dataset.shown = texts;
  place.replaceChildren(...alarms.map((alarm) => element("p", { class: "alarm" }, alarm)));
}

/** { name: [value, below] }, a tile each.
 *
 * @param {any} figures */
export function showTiles({ tiles, now, labels_per_update: due, alarms }) {
  const labels = tiles.human + tiles.judge;
  const shown = {
    "Live version": [
      tiles.live === null ? "none yet" : String(tiles.live),
      tiles.live_since ? `since ${moment(tiles.live_since, now)}` : "the base policy",
    ],
    Labels: [grouped(labels), `${grouped(tiles.human)} by people, ${grouped(tiles.judge)} by a judge`],
    "Last hour": [grouped(tiles.labels_hour), `${counted(tiles.active, "person").replace("persons", "people")} active now`],
    "To the next update": [`${Math.min(tiles.fresh, due)} / ${due}`, updateText(tiles)],
    "Used in training": [grouped(tiles.used), tiles.aside ? `${counted(tiles.aside, "pair")} set aside` : "no pairs set aside"],
    "Accepted updates": accepted(tiles.accepted),
    Pairs: [`${tiles.ready} ready`, STATES.slice(1).map(([key, name]) => `${grouped(tiles[key])} ${name}`).join(", ")],
    Alarms: [String(alarms.length), alarms.length ? "see above" : "nothing needs you"],
  };
  const place = byId("tiles");
  for (const [name, [value, below]] of Object.entries(shown)) {
    const tile = nodes.get(name) ?? made(place, name);
    setText(tile.value, value);
    setText(tile.below, below);
  }
  nodes.get("Alarms").node.classList.toggle("alarmed", alarms.length > 0);
}

/** @param {any} figures */
export function showProcesses({ tiles, drawing }) {
  const rows = tiles.processes.map((/** @type {any} */ { name, says, beats, age_seconds: age }) => {
    const isQuiet = age > SILENT_SECONDS;
    const [kind, text] = isQuiet && beats ? ["warn", `silent for ${span(age)}`] : ["good", isQuiet ? `${span(age)} ago` : "alive"];
    const mark = element("span", { class: `chip ${kind}` }, text);
    return element("li", {}, element("b", {}, name), mark, element("span", { class: "soft" }, says));
  });
  const place = byId("processes");
  const nothing = element("p", { class: "soft" }, "No process has reported yet.");
  const drawn = drawing ? [element("p", { class: "soft", id: "drawing" }, `Replies are drawn at ${drawing}.`)] : [];
  place.replaceChildren(rows.length ? element("ul", {}, ...rows) : nothing, ...drawn);
}

/**
 * @param {HTMLElement} place
 * @param {string} name */
function made(place, name) {
  const value = element("dd", { class: "value" });
  const below = element("dd", { class: "below" });
  const node = element("dl", { class: "tile card" }, element("dt", {}, name), value, below);
  place.append(node);
  const tile = { node, value, below };
  nodes.set(name, tile);
  return tile;
}

/** @param {any} tiles */
function updateText({ open_update: open }) {
  if (!open) return "idle";
  const steps = open.steps_total ? `, step ${open.steps_done} of ${open.steps_total}` : "";
  return `update ${open.id}: ${open.state}${steps}`;
}

/** @param {any} figure */
function accepted(figure) {
  if (!isNumber(figure.value)) return ["–", figure.why];
  return [percent(figure.value), `${interval(figure)} of the last ${figure.count}`];
}

/** @param {number} number */
function grouped(number) {
  return number.toLocaleString("en-GB");
}
