"""The route that tells raters what their votes changed."""

from typing import Any

from fastapi import APIRouter

from labeler.config.settings import Settings
from labeler.domain.finding import Example
from labeler.domain.sentences import update
from labeler.domain.sentences.update import Left, Result
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
        mine = sum(change.my_labels for change in found)
        return {
            "summary": update.part_of(mine, len(found)),
            "changes": [_on_screen(change) for change in found],
        }

    return routes


def _on_screen(change: Change) -> dict[str, Any]:
    """An update: its sentences, some with a time behind them, and what is drawn of it."""
    live = change.live
    result = Result(
        state=change.state,
        finding=change.finding,
        version=change.version_id,
        parent=change.parent,
        reason=change.reason,
        mine=change.my_labels,
        live=change.version_id if live and live.now else None,
    )
    left = Left(live.then, live.taken_back) if live and live.then is not None else None
    lines = [(line, None) for line in update.fate(result, was_live=live is not None)]
    return {
        "state": change.state,
        "ended_at": change.ended_at,
        "title": update.heading(result, left, was_live=live is not None),
        "lines": [*lines, (update.followed(left), live.until)] if live and left else lines,
        "win_rate": change.finding.win_rate.to_json() if result.is_compared else None,
        "compared": update.compared(result),
        "names": update.names(result),
        "examples": [_example(example) for example in change.finding.examples],
    }


def _example(example: Example) -> dict[str, str]:
    return {
        "prompt_html": render_prompt(example.prompt),
        "before_html": render_text(example.before),
        "after_html": render_text(example.after),
    }
