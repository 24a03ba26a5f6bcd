// The rating page's script: wires keys and buttons to the rating path.
//
//   keys.js, buttons -> rating.js (pairs, votes, undo) -> outbox.js -> server.js
//                            \-> view.js, panel.js (what is on screen)
//
// Gradio only lays the page out; nothing here waits for its events.

import { element, whenPresent } from "./dom.js";
import { Help } from "./help.js";
import { claimHolder } from "./holder.js";
import { actionOf } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Rating } from "./rating.js";
import { server } from "./server.js";
import { View } from "./view.js";

const TICK_MS = 500;
const PLACES = ["top", "alarms", "pair", "prompt", "reply-left", "reply-right", "choices", "saved", "panel"];
const BUTTONS = {
  "vote-left": { vote: ["left", 1], keys: ["1"], name: "Reply 1 is better" },
  "vote-right": { vote: ["right", 1], keys: ["2"], name: "Reply 2 is better" },
  "vote-left-much": { vote: ["left", 2], keys: ["Shift", "1"], name: "Reply 1 is much better" },
  "vote-right-much": { vote: ["right", 2], keys: ["Shift", "2"], name: "Reply 2 is much better" },
  "vote-tie": { vote: ["tie", 1], keys: ["T"], name: "Tie" },
  "vote-both-bad": { vote: ["both_bad", 1], keys: ["B"], name: "Both bad" },
  "vote-skip": { vote: ["skip", 1], keys: ["S"], name: "Skip this pair" },
  undo: { keys: ["U"], name: "Undo the last vote" },
};

async function start() {
  await whenPresent([...PLACES, ...Object.keys(BUTTONS)]);
  document.documentElement.lang = "en";
  const view = new View();
  const help = new Help();
  const holder = await claimHolder();
  const outbox = new Outbox(holder);
  await outbox.adopt();
  const rating = new Rating({ holder, server, outbox, view });
  listenToButtons(rating, help);
  listenToKeys(rating, help);
  rating.sync();
  setInterval(() => document.hidden || rating.tick(performance.now()), TICK_MS);
  for (const event of ["online", "focus"]) window.addEventListener(event, () => rating.refresh());
}

function listenToButtons(rating, help) {
  for (const [id, { vote, keys, name }] of Object.entries(BUTTONS)) {
    const button = document.getElementById(id);
    button.setAttribute("aria-keyshortcuts", keys.join("+"));
    button.setAttribute("aria-label", name);
    button.title = name;
    button.append(element("kbd", { "aria-hidden": "true" }, keys.join("\u2009+\u2009")));
    button.addEventListener("click", (event) => {
      if (button.getAttribute("aria-disabled") === "true") return;
      if (vote) rating.vote(...vote, event.timeStamp);
      else rating.undo();
    });
  }
  document.getElementById("open-help").addEventListener("click", () => help.open());
}

function listenToKeys(rating, help) {
  document.addEventListener("keydown", (event) => {
    if (event.repeat && event.target.closest?.("#choices button")) event.preventDefault();
    if (help.isOpen) {
      if (event.key === "?") help.close();
      return;
    }
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    if (action.kind === "vote") rating.vote(action.choice, action.strength, event.timeStamp);
    else if (action.kind === "undo") rating.undo();
    else help.open();
  });
}

start();
