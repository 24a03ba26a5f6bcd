"""The routes of a rater's follow-up: a prompt that they voted on, before and after their vote."""

import time
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from labeler.domain.sentences.follow_up import followed
from labeler.store import Store
from labeler.store.learning.follow_ups import FollowUpView
from labeler.web.body import Body
from labeler.web.door.person import RaterId
from labeler.web.rating.render import render_prompt, render_reply, render_text

MAX_VERSION = 2**31


class SeenBody(Body):
    """The version of the follow-up that the rater has seen."""

    version: int = Field(ge=0, le=MAX_VERSION)


def follow_up_routes(store: Store) -> APIRouter:
    """GET /rating/follow-up, and POST /rating/follow-up/seen once it need not be shown again."""
    routes = APIRouter(prefix="/rating/follow-up")

    @routes.get("")
    def follow_up(rater_id: RaterId) -> dict[str, Any]:
        found = store.follow_ups.of(rater_id)
        return {"follow_up": _on_screen(found) if found else None}

    @routes.post("/seen")
    def seen(body: SeenBody, rater_id: RaterId) -> dict[str, Any]:
        store.follow_ups.saw(rater_id, body.version, now=time.time())
        return {}

    return routes


def _on_screen(found: FollowUpView) -> dict[str, Any]:
    moved = found.moved
    return {
        "version": found.live,
        "title": f"Before and after version {found.live}",
        "text": followed(found.live, moved.votes, moved.gain),
        "prompt_html": render_prompt(found.messages),
        "replies": [
            [f"Version {found.before}, your choice", render_reply(found.chosen)],
            [f"Version {found.before}, the other reply", render_reply(found.other)],
            [f"Version {found.live} says now", render_text(moved.reply)],
        ],
    }
