"""The routes of the rating path: lease pairs, take votes, undo, tell of past ones and of the loop.

A vote is answered after its commit. Time and chance are read here and handed on as arguments.
Handlers are plain functions, which FastAPI runs in threads: the database may make them wait.
"""

import random
import time
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import (
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from labeler.config.settings import Settings
from labeler.domain.rules import CheckRules
from labeler.domain.thought import without_thought
from labeler.store import Store
from labeler.store.rating.edits import MAX_EDIT_CHARS
from labeler.store.rating.queue import MAX_HELD
from labeler.store.records import Ballot, LeasedPair, PastVote, Undone
from labeler.web.body import Body
from labeler.web.rating.guidelines import guidelines_html
from labeler.web.rating.judge import JudgeView
from labeler.web.rating.loop import LoopView
from labeler.web.rating.render import plain_text, prompt_line, render_prompt, render_reply
from labeler.web.rating.told import told

Id = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$")]
MAX_PAIRS = 8
MAX_SPARE = MAX_HELD - MAX_PAIRS
MAX_LEASES = 64
MAX_VOTES = 50
MAX_SECONDS = 7 * 24 * 3600.0
MAX_COMMENT_CHARS = 2_000
MAX_REASONS = 20
PAST_VOTES = 30
SKIP_REASONS = (
    "too long",
    "I don't understand it",
    "I can't judge it",
    "offensive or private",
    "the prompt is broken",
    "other",
)
# Not only those of the settings: a vote may come late, from a page with earlier ones.
Reason = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Explained(Body):
    """What a rater adds to a vote if they like: reasons to tick, and words of their own."""

    reasons: list[Reason] = Field(default=[], max_length=MAX_REASONS)
    comment: str | None = Field(None, max_length=MAX_COMMENT_CHARS)

    @field_validator("reasons")
    @classmethod
    def _once_each(cls, reasons: list[str]) -> list[str]:
        return list(dict.fromkeys(reasons))

    @field_validator("comment")
    @classmethod
    def _none_if_blank(cls, comment: str | None) -> str | None:
        return _written(comment).strip() or None


class PairsBody(Body):
    """`wanted`: how many pairs the page wants to hold, and `spare` more for an outage; `shown`: the
    leases that it has already, the most urgent first; `give_back`: those that it would rather have
    newer ones for.
    """

    holder: Id
    shown: list[Id] = Field(default=[], max_length=MAX_LEASES)
    give_back: list[Id] = Field(default=[], max_length=MAX_LEASES)
    wanted: int = Field(ge=0, le=MAX_PAIRS)
    spare: int = Field(0, ge=0, le=MAX_SPARE)


class VoteBody(Explained):
    """One vote, by side. `seconds`: how long the pair was looked at.

    `edit` is the text that the rater made of the chosen reply.
    """

    vote_id: Id
    lease_id: Id
    choice: Literal["left", "right", "tie", "both_bad", "skip"]
    strength: Literal[1, 2] = 1
    seconds: float | None = Field(None, ge=0, le=MAX_SECONDS, allow_inf_nan=False)
    edit: str | None = Field(None, max_length=MAX_EDIT_CHARS)

    @field_validator("edit")
    @classmethod
    def _as_written(cls, edit: str | None) -> str | None:
        return _written(edit) or None

    @model_validator(mode="after")
    def _much_better_is_decisive(self) -> Self:
        if self.strength == 2 and self.choice not in ("left", "right"):
            raise ValueError("strength 2 goes only with left or right")
        if self.edit is not None and self.choice not in ("left", "right"):
            raise ValueError("an edit goes only with left or right")
        return self


class VotesBody(Body):
    """Votes in the order in which they were cast."""

    votes: list[VoteBody] = Field(min_length=1, max_length=MAX_VOTES)


class ReasonsBody(Explained):
    """Reasons for a vote that was cast before."""

    vote_id: Id


class UndoBody(Body):
    """`undo_id` is made by the page, once an undo, so that sending it again undoes no more.

    Without a `vote_id` the last vote of the page is meant.
    """

    undo_id: Id
    holder: Id
    vote_id: Id | None = None


def rating_routes(settings: Settings, store: Store, rater: Callable[..., int]) -> APIRouter:
    """The routes. `rater` is the dependency that says whose request it is."""
    routes = APIRouter(prefix="/rating")
    rng = random.SystemRandom()
    checks = CheckRules(settings.gold_share, settings.repeat_share)
    RaterId = Annotated[int, Depends(rater)]
    judge = JudgeView(settings, store)
    loop = LoopView(settings, store)
    rules_html = guidelines_html(settings)

    def state_of(rater_id: int, pairs: Iterable[LeasedPair] = ()) -> dict[str, Any]:
        shown = loop.page(rater_id, versions=[pair.version_id for pair in pairs])
        return told(shown, settings.labels_per_update)

    @routes.post("/pairs")
    def pairs(body: PairsBody, rater_id: RaterId) -> dict[str, Any]:
        leased = store.queue.lease(
            **body.model_dump(),
            rater_id=rater_id,
            seconds=settings.lease_seconds,
            now=time.time(),
            rng=rng,
            max_staleness=settings.served_staleness,
            checks=checks,
        )
        state = state_of(rater_id, leased)
        return {"pairs": [on_screen(pair) for pair in leased], "state": state}

    @routes.post("/votes")
    def votes(body: VotesBody, rater_id: RaterId) -> dict[str, Any]:
        ballots = [Ballot(**vote.model_dump()) for vote in body.votes]
        receipts = [
            store.votes.record(ballot, rater_id=rater_id, now=time.time()) for ballot in ballots
        ]
        return {"receipts": [vars(receipt) for receipt in receipts], "state": state_of(rater_id)}

    @routes.post("/undo")
    def undo(body: UndoBody, rater_id: RaterId) -> dict[str, Any]:
        undone = store.votes.undo(
            undo_id=body.undo_id,
            rater_id=rater_id,
            holder=body.holder,
            seconds=settings.lease_seconds,
            now=time.time(),
            vote_id=body.vote_id,
            rules=settings.vote_rules,
        )
        loop.forget()
        return {**_undone(undone), "state": state_of(rater_id)}

    @routes.post("/reasons")
    def reasons(body: ReasonsBody, rater_id: RaterId) -> dict[str, Any]:
        receipt = store.votes.explain(**body.model_dump(), rater_id=rater_id)
        return {"receipt": vars(receipt), "state": state_of(rater_id)}

    @routes.get("/history")
    def history(rater_id: RaterId, holder: Id | None = None) -> dict[str, Any]:
        """All of a rater's last votes, or only those of one tab."""
        past = store.history.last(
            rater_id=rater_id, limit=PAST_VOTES, votes=settings.vote_rules, holder=holder
        )
        return {"votes": [_past(vote) for vote in past], "state": state_of(rater_id)}

    @routes.get("/guidelines")
    def guidelines() -> dict[str, Any]:
        return {"html": rules_html, "reasons": settings.reasons, "skip_reasons": SKIP_REASONS}

    @routes.get("/state")
    def state(rater_id: RaterId) -> dict[str, Any]:
        shown = loop.page(rater_id)
        said = judge.page(shown["processes"].get("judge", ""))  # only here: no vote waits for it
        return {**told(shown, settings.labels_per_update), **said}

    return routes


def on_screen(pair: LeasedPair) -> dict[str, Any]:
    """A pair as the page gets it, with its texts as safe HTML. The plain ones have no thought."""
    return {
        "lease_id": pair.lease_id,
        "version": pair.version_id,
        "prompt_html": render_prompt(pair.messages),
        "left_html": render_reply(pair.left),
        "right_html": render_reply(pair.right),
        "left_text": plain_text(without_thought(pair.left)),
        "right_text": plain_text(without_thought(pair.right)),
        "left_unfinished": pair.left_unfinished,
        "right_unfinished": pair.right_unfinished,
    }


def _undone(undone: Undone) -> dict[str, Any]:
    return vars(undone) | {
        "pair": on_screen(undone.pair) if undone.pair else None,
        "edit": plain_text(without_thought(undone.edit)) if undone.edit else None,
    }


def _past(vote: PastVote) -> dict[str, Any]:
    return {
        "vote_id": vote.vote_id,
        "prompt": prompt_line(vote.messages),
        "choice": vote.choice,
        "strength": vote.strength,
        "reasons": vote.reasons,
        "comment": plain_text(vote.comment) if vote.comment else None,
        "edit": plain_text(without_thought(vote.edit)) if vote.edit else None,
        "at": vote.at,
        "trained": vote.trained,
    }


def _written(text: str | None) -> str:
    """A text from a field of the page, as it is stored: one kind of line end, and no NUL."""
    return (text or "").replace("\r\n", "\n").replace("\0", "")
