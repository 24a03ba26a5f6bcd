"""The routes for raters' own prompts: ask one, and see how far its replies are."""

import random
import time
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import StringConstraints

from labeler.config.settings import Settings
from labeler.store import Store
from labeler.store.rating.asks import AskView
from labeler.web.body import Body
from labeler.web.door.person import RaterId
from labeler.web.rating.bodies import Id
from labeler.web.rating.routes import on_screen

MAX_TEXT_CHARS = 8_000
Text = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=MAX_TEXT_CHARS, pattern=r"^[^\x00]*$"
    ),
]


class AskBody(Body):
    """A prompt of the rater's own. `continues` is a vote whose preferred reply goes before it."""

    ask_id: Id
    text: Text
    continues: Id | None = None


def asks_routes(settings: Settings, store: Store) -> APIRouter:
    """POST /rating/asks and GET /rating/asks/{id}."""
    routes = APIRouter(prefix="/rating/asks")
    rng = random.SystemRandom()

    @routes.post("")
    def ask(body: AskBody, rater_id: RaterId) -> dict[str, Any]:
        taken = store.asks.add(
            body.ask_id,
            rater_id=rater_id,
            text=body.text,
            continues=body.continues,
            now=time.time(),
        )
        return _told(taken)

    @routes.get("/{ask_id}")
    def look(ask_id: Id, holder: Id, rater_id: RaterId, gone: Id | None = None) -> dict[str, Any]:
        found = store.asks.look(
            ask_id,
            rater_id=rater_id,
            holder=holder,
            gone=gone,
            seconds=settings.lease_seconds,
            now=time.time(),
            rng=rng,
        )
        return _told(found)

    return routes


def _told(ask: AskView | None) -> dict[str, Any]:
    if ask is None:
        raise HTTPException(404, "You have no such prompt.")
    return {**vars(ask), "pair": on_screen(ask.pair) if ask.pair else None}
