"""The routes of the labels page: search, one pair with all that was said of it, set aside."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field, StringConstraints

from labeler.config.settings import Settings
from labeler.domain.sentences.judge import CAUSES
from labeler.domain.states import Choice, PairState, Purpose, Source
from labeler.store import Store
from labeler.store.tables import Verdict
from labeler.store.views.labelled import OnePair, OneVote
from labeler.store.views.search import MAX_SEARCH_CHARS, Flag, PairLine, Wanted, is_too_fast
from labeler.web.body import Body
from labeler.web.door.person import Id, PersonHere
from labeler.web.kept import Kept
from labeler.web.page_files import PageFiles
from labeler.web.rating.render import render_prompt, render_reply

MAX_REASON_CHARS = 500
MAX_SNIPPET_CHARS = 160
MAX_CURSOR_CHARS = 200
FACETS_SECONDS = 10.0

Searched = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_SEARCH_CHARS)]
Time = Annotated[float, Field(allow_inf_nan=False)]
Cursor = Annotated[str, Field(max_length=MAX_CURSOR_CHARS)]


class Filters(BaseModel):
    """Which pairs: `Wanted`, as an address says it. `cursor`: where the page before ended."""

    search: Searched | None = None
    source: Source | None = None
    choice: Choice | None = None
    state: PairState | None = None
    purpose: Purpose | None = None
    rater: Id | None = None
    version: Id | None = None
    flag: Flag | None = None
    since: Time | None = None
    until: Time | None = None
    cursor: Cursor | None = None


class AsideBody(Body):
    """Whether the pair is to be set aside, and why."""

    aside: bool
    reason: str = Field("", max_length=MAX_REASON_CHARS)


def labelled_routes(settings: Settings, store: Store, files: PageFiles) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    fast = settings.min_reading_seconds
    facets = Kept[dict[str, Any]](FACETS_SECONDS)  # counting them passes over all votes

    @routes.get("/labels", include_in_schema=False)
    def page() -> HTMLResponse:
        return files.document("labels/labels.html")

    @routes.get("/labels/pairs")
    def pairs(filters: Annotated[Filters, Query()]) -> dict[str, Any]:
        cursor = filters.cursor
        wanted = Wanted(**filters.model_dump(exclude={"cursor"}), fast_seconds=fast)
        found = store.labelled.page(wanted, cursor=cursor)
        answer = {"pairs": [_line(line) for line in found.pairs], "cursor": found.cursor}
        if cursor:
            return answer
        return answer | {"facets": facets.get(lambda: store.labelled.facets(fast_seconds=fast))}

    @routes.get("/labels/pairs/{pair_id}")
    def pair(pair_id: Id) -> dict[str, Any]:
        return _opened(store.labelled.pair(pair_id), fast)

    @routes.post("/labels/pairs/{pair_id}/aside")
    def aside(pair_id: Id, body: AsideBody, person: PersonHere) -> dict[str, Any]:
        if body.aside:
            by = person.rater_id
            store.labelled.set_aside(pair_id, reason=body.reason, by=by, now=time.time())
        else:
            store.labelled.put_back(pair_id)
        facets.forget()
        return _opened(store.labelled.pair(pair_id), fast)

    return routes


def _line(line: PairLine) -> dict[str, Any]:
    text = " ".join(line.text.split())
    cut = text[:MAX_SNIPPET_CHARS] + ("…" if len(text) > MAX_SNIPPET_CHARS else "")
    return {**vars(line), "text": cut, "votes": [vars(vote) for vote in line.votes]}


def _opened(found: OnePair, fast: float) -> dict[str, Any]:
    pair = found.pair
    shown = {"id", "state", "purpose", "answer", "votes_wanted", "sampling"}
    return pair.model_dump(include=shown) | {
        "version": pair.version_id,
        "made_at": pair.created_at,
        "prompt_html": render_prompt(found.messages),
        "responses": [
            _response(pair.response_a, pair.finish_a, len(pair.tokens_a)),
            _response(pair.response_b, pair.finish_b, len(pair.tokens_b)),
        ],
        "source_pair": pair.source_pair_id,
        "edits": found.edits,
        "repeats": found.repeats,
        "for_rater": found.for_rater,
        "votes": [_vote(vote, fast) for vote in found.votes],
        "verdicts": [_verdict(verdict) for verdict in found.verdicts],
        "aside": {
            "at": pair.aside_at,
            "by": found.aside_by,
            "reason": pair.aside_reason,
        }
        if pair.aside_at is not None
        else None,
    }


def _response(text: str, finish: str, tokens: int) -> dict[str, Any]:
    return {"html": render_reply(text), "finish": finish, "tokens": tokens}


def _vote(found: OneVote, fast: float) -> dict[str, Any]:
    vote = found.vote
    shown = {"source", "choice", "strength", "seconds", "reasons", "comment"}
    return vote.model_dump(include={*shown, "shown_left", "staleness"}) | {
        "rater": found.rater,
        "too_fast": is_too_fast(vote, fast),
        "at": vote.created_at,
        "undone": vote.superseded_by is not None,
        "update": vote.used_in_update,
        "version": found.version,
        "listed": [{"update": update, "role": role} for update, role in found.listed],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    shown = {"judge", "probability", "forward", "backward", "score_a", "score_b"}
    cause = CAUSES[verdict.cause] if verdict.cause else None
    return verdict.model_dump(include=shown) | {"cause": cause, "at": verdict.created_at}
