// The rating routes, as functions. Every answer is JSON; what is not an answer is an error.

const PATIENCE_MS = 15_000;

/** The server said no, in one sentence. */
export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** There was no answer: the connection is down, or the server is. */
export class Unreachable extends Error {}

export const server = {
  pairs: (body) => call("pairs", body),
  // keepalive: a vote that is under way when the page closes still arrives.
  votes: (votes) => call("votes", { votes }, { keepalive: true }),
  undo: (body) => call("undo", body),
  state: () => call("state"),
};

async function call(name, body, options = {}) {
  const request = { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...options };
  if (body) {
    request.method = "POST";
    request.headers = { "content-type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let response;
  let answer;
  try {
    response = await fetch(`/rating/${name}`, request);
    answer = await response.json();
  } catch (error) {
    throw new Unreachable(`no answer to ${name}`, { cause: error });
  }
  if (!response.ok) throw new Refused(answer.error ?? `error ${response.status}`, response.status);
  return answer;
}
