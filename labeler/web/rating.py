"""The routes of the rating path: lease pairs, take votes, undo, say how the loop is doing.

A vote is answered after its commit. Time and chance are read here and handed on as arguments.
Handlers are plain functions, which FastAPI runs in threads: the database may make them wait.
"""

import random
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from labeler.settings import Settings
from labeler.store import Store
from labeler.store.records import Ballot, LeasedPair
from labeler.web.judge import JudgeView
from labeler.web.render import render_prompt, render_text

Id = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$")]
MOST_PAIRS = 8
MOST_LEASES = 500
MOST_VOTES = 50
LONGEST_SECONDS = 7 * 24 * 3600.0


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PairsBody(_Body):
    """`wanted`: how many pairs the page wants to hold; `shown`: the leases that it has already."""

    holder: Id
    shown: list[Id] = Field(default=[], max_length=MOST_LEASES)
    give_back: list[Id] = Field(default=[], max_length=MOST_LEASES)
    wanted: int = Field(ge=0, le=MOST_PAIRS)


class VoteBody(_Body):
    """One vote, by side. `seconds`: how long the pair was looked at."""

    vote_id: Id
    lease_id: Id
    choice: Literal["left", "right", "tie", "both_bad", "skip"]
    strength: Literal[1, 2] = 1
    seconds: float | None = Field(None, ge=0, le=LONGEST_SECONDS, allow_inf_nan=False)

    @model_validator(mode="after")
    def _much_better_is_decisive(self) -> Self:
        if self.strength == 2 and self.choice not in ("left", "right"):
            raise ValueError("strength 2 goes with left or right only")
        return self


class VotesBody(_Body):
    """Votes in the order in which they were cast."""

    votes: list[VoteBody] = Field(min_length=1, max_length=MOST_VOTES)


class UndoBody(_Body):
    """`undo_id` is made by the page, once an undo, so that sending it again undoes no more."""

    undo_id: Id
    holder: Id


def rating_routes(settings: Settings, store: Store, rater: Callable[..., int]) -> APIRouter:
    """The routes. `rater` is the dependency that says whose request it is."""
    routes = APIRouter(prefix="/rating")
    rng = random.SystemRandom()
    RaterId = Annotated[int, Depends(rater)]
    judge = JudgeView(settings, store)

    def state_of(rater_id: int) -> dict[str, Any]:
        return {
            **store.reports.page(rater_id=rater_id, rules=settings.due_rules),
            "labels_per_update": settings.labels_per_update,
            **judge.known(),
        }

    @routes.post("/pairs")
    def pairs(body: PairsBody, rater_id: RaterId) -> dict[str, Any]:
        now = time.time()
        if body.give_back:
            store.queue.give_back(body.give_back, rater_id=rater_id, now=now)
        leased = store.queue.lease(
            rater_id=rater_id,
            holder=body.holder,
            wanted=body.wanted,
            shown=body.shown,
            seconds=settings.lease_seconds,
            now=now,
            rng=rng,
        )
        return {"pairs": [_on_screen(pair) for pair in leased], "state": state_of(rater_id)}

    @routes.post("/votes")
    def votes(body: VotesBody, rater_id: RaterId) -> dict[str, Any]:
        ballots = [Ballot(**vote.model_dump()) for vote in body.votes]
        receipts = [
            store.votes.record(ballot, rater_id=rater_id, now=time.time()) for ballot in ballots
        ]
        return {"receipts": [vars(receipt) for receipt in receipts], "state": state_of(rater_id)}

    @routes.post("/undo")
    def undo(body: UndoBody, rater_id: RaterId) -> dict[str, Any]:
        pair = store.votes.undo(
            undo_id=body.undo_id,
            rater_id=rater_id,
            holder=body.holder,
            seconds=settings.lease_seconds,
            now=time.time(),
        )
        return {"pair": _on_screen(pair) if pair else None, "state": state_of(rater_id)}

    @routes.get("/state")
    def state(rater_id: RaterId) -> dict[str, Any]:
        judge.look(now=time.monotonic())  # only here, so that no vote waits for it
        return state_of(rater_id)

    return routes


def _on_screen(pair: LeasedPair) -> dict[str, Any]:
    return {
        "lease_id": pair.lease_id,
        "version": pair.version_id,
        "prompt_html": render_prompt(pair.messages),
        "left_html": render_text(pair.left),
        "right_html": render_text(pair.right),
        "left_unfinished": pair.left_unfinished,
        "right_unfinished": pair.right_unfinished,
    }
