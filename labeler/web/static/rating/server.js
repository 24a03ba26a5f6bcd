// @ts-check
// The rating routes, as functions. Every answer is JSON; what is not an answer is an error.

import { send } from "../shared/send.js";

/** What the service says of the loop, as far as the scripts look into it.
 *
 * @typedef {object} State
 * @property {number | null} live
 * @property {number} ready Pairs of the live version.
 * @property {number[]} counting Versions on whose pairs a vote counts.
 * @property {number} votes
 * @property {number} labels  That came of these votes.
 * @property {string} activity
 * @property {string[]} alarms
 * @property {string[]} [asks]
 * @property {number | null} [follow_up] The version of a follow-up that the rater has not seen.
 * @property {[string, string] | null} [waiting]
 * @property {{ done: number, wanted: number, text: string, why: string }} progress
 * @property {{ runs: boolean, steps_done: number, steps_total: number } | null} [update]
 * @property {{ id: number, title: string, good: boolean, lines: string[], details: [string, string][] } | null} [result]
 * @property {Judge | null} [judge] */

/** @typedef {{ name: string, lines: string[], figures: [string, string][], bins: import("../shared/calibration.js").Bin[], calibration: string }} Judge */

/** @typedef {"left" | "right" | "tie" | "both_bad" | "skip"} Choice */

/** A pair as it is leased.
 *
 * @typedef {object} LeasedPair
 * @property {string} lease_id
 * @property {number} version
 * @property {string} prompt_html
 * @property {string} left_html
 * @property {string} right_html
 * @property {string} left_text
 * @property {string} right_text
 * @property {boolean} left_unfinished
 * @property {boolean} right_unfinished */

/** A vote as it is sent.
 *
 * @typedef {object} Vote
 * @property {string} vote_id
 * @property {string} lease_id
 * @property {Choice} choice
 * @property {number} strength
 * @property {number} seconds
 * @property {string} [edit]
 * @property {string[]} [reasons]
 * @property {string | null} [comment] */

/** @typedef {{ vote_id: string, reasons: string[], comment: string | null }} Reasons */

/**
 * `choice` is the one that is stored, where a vote was sent again with another.
 *
 * @typedef {{
 *   vote_id: string,
 *   saved: boolean,
 *   reason: string | null,
 *   choice?: Choice | null,
 *   strength?: number | null,
 * }} Receipt */

/** @typedef {{ undo_id: string, holder: string, vote_id: string | null }} UndoBody */

/** What became of an undo.
 *
 * @typedef {object} Undone
 * @property {LeasedPair | null} pair
 * @property {string | null} reason
 * @property {Choice} [choice]
 * @property {string | null} [edit]
 * @property {number | null} [trained] */

/** @typedef {{ holder: string, shown: string[], give_back: string[], wanted: number, spare: number }} PairsBody */

/** A vote of the past.
 *
 * @typedef {object} PastVote
 * @property {string} vote_id
 * @property {string} prompt
 * @property {Choice} choice
 * @property {number} strength
 * @property {string[]} reasons
 * @property {string | null} comment
 * @property {string | null} edit
 * @property {number} at
 * @property {number | null} trained */

/** A prompt of the rater's own, and its pair once it is there.
 *
 * @typedef {object} Asked
 * @property {string} state
 * @property {string} text
 * @property {string | null} reason
 * @property {number} done_tokens
 * @property {number} max_tokens
 * @property {LeasedPair | null} pair
 * @property {string | null} [elsewhere] */

/** The functions of this module: what the rating path knows of the service.
 *
 * @typedef {object} Server
 * @property {(body: PairsBody) => Promise<{ pairs: LeasedPair[], state: State }>} pairs
 * @property {(votes: Vote[]) => Promise<{ receipts: Receipt[] }>} votes
 * @property {(body: Reasons) => Promise<{ receipt: Receipt }>} reasons
 * @property {(body: UndoBody) => Promise<Undone>} undo
 * @property {(holder?: string | null) => Promise<{ votes: PastVote[] }>} history
 * @property {() => Promise<State>} state
 * @property {() => Promise<{ html: string, reasons: string[], skip_reasons: string[] }>} guidelines
 * @property {(body: { ask_id: string, text: string, continues: string | null }) => Promise<Asked>} ask
 * @property {(id: string, holder: string, gone?: string) => Promise<Asked>} look
 * @property {() => Promise<{ summary: string, changes: import("./changes.js").Change[] }>} changes
 * @property {() => Promise<{ follow_up: import("./follow_up.js").Shown | null }>} followUp
 * @property {(version: number) => Promise<object>} sawFollowUp */

/** @type {Server} */
export const server = {
  pairs: (body) => call("pairs", body),
  // keepalive: a vote that is under way when the page closes still arrives.
  votes: (votes) => call("votes", { votes }, { keepalive: true }),
  reasons: (body) => call("reasons", body, { keepalive: true }),
  undo: (body) => call("undo", body),
  /** The rater's last votes, newest first; with a holder only those of this tab. */
  history: (holder = null) => call(holder === null ? "history" : `history?${new URLSearchParams({ holder })}`),
  guidelines: () => call("guidelines"),
  state: () => call("state"),
  ask: (body) => call("asks", body),
  look: (id, holder, gone) => call(`asks/${id}?${new URLSearchParams(gone ? { holder, gone } : { holder })}`),
  changes: () => call("changes"),
  followUp: () => call("follow-up"),
  sawFollowUp: (version) => call("follow-up/seen", { version }),
};

/**
 * @param {string} name
 * @param {object} [body]
 * @param {RequestInit} [options] */
function call(name, body, options) {
  return send(`/rating/${name}`, body, options);
}
