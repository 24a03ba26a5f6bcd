// The rating routes, as functions. Every answer is JSON; what is not an answer is an error.

import { send } from "../shared/send.js";

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
};

function call(name, body, options) {
  return send(`/rating/${name}`, body, options);
}
