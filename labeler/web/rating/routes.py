"""The routes of the rating path: lease pairs, take votes, undo, tell of past ones and of the loop.

A vote is answered after its commit. Handlers are plain functions, which FastAPI runs in threads:
the database may make them wait.
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from labeler.config.settings import Settings
from labeler.domain.thought import without_thought
from labeler.store import Store
from labeler.store.records import LeasedPair, PastVote, Undone
from labeler.web.rating.bodies import Id, PairsBody, ReasonsBody, UndoBody, VotesBody
from labeler.web.rating.desk import Desk
from labeler.web.rating.guidelines import guidelines_html
from labeler.web.rating.judge import JudgeView
from labeler.web.rating.render import plain_text, prompt_line, render_prompt, render_reply

PAST_VOTES = 30
SKIP_REASONS = (
    "too long",
    "I don't understand it",
    "I can't judge it",
    "offensive or private",
    "the prompt is broken",
    "other",
)


def rating_routes(
    settings: Settings, store: Store, desk: Desk, rater: Callable[..., int]
) -> APIRouter:
    """The routes. `rater` is the dependency that says whose request it is."""
    routes = APIRouter(prefix="/rating")
    RaterId = Annotated[int, Depends(rater)]
    judge = JudgeView(settings, store)
    rules_html = guidelines_html(settings)

    @routes.post("/pairs")
    def pairs(body: PairsBody, rater_id: RaterId) -> dict[str, Any]:
        leased = desk.lease(body, rater_id)
        return {
            "pairs": [on_screen(pair) for pair in leased],
            "state": desk.state(rater_id, leased),
        }

    @routes.post("/votes")
    def votes(body: VotesBody, rater_id: RaterId) -> dict[str, Any]:
        receipts = [desk.vote(vote, rater_id) for vote in body.votes]
        return {"receipts": [vars(receipt) for receipt in receipts], "state": desk.state(rater_id)}

    @routes.post("/undo")
    def undo(body: UndoBody, rater_id: RaterId) -> dict[str, Any]:
        return {**_undone(desk.undo(body, rater_id)), "state": desk.state(rater_id)}

    @routes.post("/reasons")
    def reasons(body: ReasonsBody, rater_id: RaterId) -> dict[str, Any]:
        receipt = store.votes.explain(**body.model_dump(), rater_id=rater_id)
        return {"receipt": vars(receipt), "state": desk.state(rater_id)}

    @routes.get("/history")
    def history(rater_id: RaterId, holder: Id | None = None) -> dict[str, Any]:
        """All of a rater's last votes, or only those of one tab."""
        past = store.history.last(
            rater_id=rater_id, limit=PAST_VOTES, votes=settings.vote_rules, holder=holder
        )
        return {"votes": [_past(vote) for vote in past], "state": desk.state(rater_id)}

    @routes.get("/guidelines")
    def guidelines() -> dict[str, Any]:
        return {"html": rules_html, "reasons": settings.reasons, "skip_reasons": SKIP_REASONS}

    @routes.get("/state")
    def state(rater_id: RaterId) -> dict[str, Any]:
        shown = desk.look(rater_id)
        said = judge.page(shown["processes"].get("judge", ""))  # only here: no vote waits for it
        return {**desk.told(shown), **said}

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
