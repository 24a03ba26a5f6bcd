"""The route that tells raters what their votes changed."""

from typing import Any

from fastapi import APIRouter

from labeler.config.settings import Settings
from labeler.domain.estimate import Estimate
from labeler.domain.finding import Example
from labeler.store import Store
from labeler.store.views.changes import Change
from labeler.web.door.person import RaterId
from labeler.web.rating.render import render_prompt, render_text

LAST_UPDATES = 10


def changes_routes(settings: Settings, store: Store) -> APIRouter:
    """GET /rating/changes: the last updates, newest first, with this rater's part in them."""
    routes = APIRouter(prefix="/rating")

    @routes.get("/changes")
    def changes(rater_id: RaterId) -> dict[str, Any]:
        found = store.changes.of(rater_id, last=LAST_UPDATES, votes=settings.vote_rules)
        return {"changes": [_on_screen(change) for change in found]}

    return routes


def _on_screen(change: Change) -> dict[str, Any]:
    return {
        "update_id": change.update_id,
        "state": change.state,
        "version_id": change.version_id,
        "parent": change.parent,
        "ended_at": change.ended_at,
        "labels": change.labels,
        "my_labels": change.my_labels,
        "win_rate": _share(change.win_rate),
        "why": change.win_rate.why,
        "agreement": (
            {"before": before, "after": _share(change.after)}
            if (before := _share(change.before)) is not None
            else None
        ),
        "reason": change.reason,
        "live": vars(change.live) if change.live else None,
        "examples": [_example(example) for example in change.examples],
    }


def _share(found: Estimate) -> dict[str, Any] | None:
    if found.value is None:
        return None
    return {"rate": found.value, "low": found.low, "high": found.high, "count": found.count}


def _example(example: Example) -> dict[str, str]:
    return {
        "prompt_html": render_prompt(example.prompt),
        "before_html": render_text(example.before),
        "after_html": render_text(example.after),
    }
