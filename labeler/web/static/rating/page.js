// @ts-check
// The rating page's script: wires keys and buttons to the rating path.
//
//   keys.js, buttons -> rating.js -> buffer.js (pairs), outbox.js and delivery.js (votes), undo.js
//                           |           \-> pump.js (one request at a time) -> server.js
//                           \-> view.js, panel.js (what is on screen)

import { Changes } from "./changes.js";
import { isBusy } from "../shared/dialog.js";
import { byId, element } from "../shared/dom.js";
import { Editor } from "./edit.js";
import { FollowUp } from "./follow_up.js";
import { Guide } from "./guide.js";
import { Help } from "./help.js";
import { History } from "./history.js";
import { claimHolder } from "./holder.js";
import { actionOf } from "./keys.js";
import { Outbox, REASONS } from "./outbox.js";
import { OwnPrompts } from "./own_prompts.js";
import { Practice } from "./practice.js";
import { Rating } from "./rating.js";
import { Seen } from "./seen.js";
import { server } from "./server.js";
import { View } from "./view.js";
import { whoAmI } from "../shared/who.js";
import { Why } from "./why.js";

const TICK_MS = 500;
/** @typedef {Record<import("./keys.js").Command, () => void>} Commands */
/** What a button does, the keys that do the same, and its name.
 *
 * @typedef {{ vote?: [import("./server.js").Choice, number], command?: import("./keys.js").Command, keys: string[], name: string }} Button */

/** @type {Record<string, Button>} */
const BUTTONS = {
  "vote-left": { vote: ["left", 1], keys: ["1"], name: "Reply 1 is better" },
  "vote-right": { vote: ["right", 1], keys: ["2"], name: "Reply 2 is better" },
  "vote-left-much": { vote: ["left", 2], keys: ["Shift", "1"], name: "Reply 1 is much better" },
  "vote-right-much": { vote: ["right", 2], keys: ["Shift", "2"], name: "Reply 2 is much better" },
  "vote-tie": { vote: ["tie", 1], keys: ["T"], name: "Tie" },
  "vote-both-bad": { vote: ["both_bad", 1], keys: ["B"], name: "Both bad" },
  "vote-skip": { vote: ["skip", 1], keys: ["S"], name: "Skip this pair" },
  "open-edit": { command: "edit", keys: ["E"], name: "Edit the better reply" },
  undo: { command: "undo", keys: ["U"], name: "Undo the last vote" },
};

async function start() {
  const me = await whoAmI();
  const commands = /** @type {Commands} */ ({}); // filled below, before there is a pair
  const view = new View({ me, onWhy: () => commands.why() });
  const holder = await claimHolder();
  /** @type {Outbox<import("./server.js").Vote>} */
  const outbox = new Outbox(holder, me.owner);
  /** @type {Outbox<import("./server.js").Reasons>} */
  const reasons = new Outbox(holder, me.owner, REASONS);
  await outbox.adopt();
  await reasons.adopt();
  const rating = new Rating({ holder, server, outbox, reasons, seen: new Seen(), view });
  Object.assign(commands, dialogs(rating, view, me));
  const own = new OwnPrompts({ holder, server, rating, me });
  const changes = new Changes(server);
  const followUp = new FollowUp(server);
  view.onState((state) => {
    if (me.service === null && state.live !== null) location.reload(); // votes are for a service
    followUp.see(state);
  });
  Object.assign(commands, { ask: () => own.open(), changes: () => changes.look() });
  listenToButtons(rating, commands);
  listenToKeys(rating, commands);
  rating.sync();
  setInterval(() => document.hidden || rating.tick(performance.now()), TICK_MS);
  for (const event of ["online", "focus"]) window.addEventListener(event, () => rating.refresh());
}

/** What keys and buttons do besides voting, by the names of keys.js.
 *
 * @param {Rating} rating
 * @param {View} view
 * @param {import("../shared/who.js").Me} me */
function dialogs(rating, view, me) {
  const guide = new Guide(server);
  const why = new Why(guide, me.owner);
  const history = new History({ server, rating, why });
  const editor = new Editor();
  const practice = new Practice(me.single_user ? "local" : me.rater_id);
  const help = new Help({ practise: () => practice.start() });
  guide.load();
  if (why.unfinished) view.offerWhy();
  view.onVote(() => practice.withdraw());
  view.onFirstState((state) => state.votes === 0 && practice.offer(byId("prompt")));
  return {
    undo: () => rating.undo(),
    edit: () => editPair(rating, editor),
    why: () => {
      const vote = rating.last ?? why.unfinished;
      if (vote) why.ask(vote, (said) => rating.explain(vote.vote_id, said));
      else view.complain("There is no recent vote to explain. Older votes are under History.");
    },
    history: () => history.look(),
    guidelines: () => guide.open(),
    help: () => help.open(),
    plain: () => view.toggle("plain"),
    differences: () => view.toggle("differences"),
    together: () => view.toggle("together"),
  };
}

/**
 * @param {Rating} rating
 * @param {Editor} editor */
function editPair(rating, editor) {
  const pair = rating.shown;
  if (!pair) return rating.tellOfUndo();
  editor.edit(pair, (side, text) => {
    if (rating.shown === pair) rating.vote(side, 1, performance.now(), text);
  });
}

/**
 * @param {Rating} rating
 * @param {Commands} commands */
function listenToButtons(rating, commands) {
  /** @type {Record<string, Button>} */
  const named = {
    ...BUTTONS,
    "open-history": { command: "history", keys: ["H"], name: "Your last votes" },
    "open-changes": { command: "changes", keys: ["C"], name: "See what changed" },
    "open-help": { command: "help", keys: ["?"], name: "Help and keys" },
  };
  for (const [id, { vote, command, keys, name }] of Object.entries(named)) {
    const node = byId(id);
    node.setAttribute("aria-keyshortcuts", keys.join("+"));
    node.setAttribute("aria-label", name);
    node.title = name;
    if (id !== "open-help") node.append(element("kbd", { "aria-hidden": "true" }, keys.join("\u2009+\u2009")));
    node.addEventListener("click", (event) => {
      if (vote) {
        rating.press(...vote, id, event.timeStamp);
        if (event.detail) node.blur(); // by mouse: its ring would look like the next vote
      } else if (command) commands[command]();
    });
  }
}

/**
 * @param {Rating} rating
 * @param {Commands} commands */
function listenToKeys(rating, commands) {
  document.addEventListener("keydown", (event) => {
    if (event.repeat && event.target instanceof Element && event.target.closest("#choices button")) event.preventDefault();
    if (isBusy()) return;
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    if (action.kind === "vote") rating.press(action.choice, action.strength, event.code, event.timeStamp);
    else commands[action.kind]();
  });
}

start();
