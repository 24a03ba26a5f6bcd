"""The state of the loop as the page gets it: figures to draw, and sentences to set."""

from typing import Any

from labeler.domain.process_names import SAMPLING, role_of
from labeler.domain.sentences import loop, update
from labeler.domain.sentences.loop import Now
from labeler.domain.sentences.standstill import why_none
from labeler.domain.sentences.update import Result
from labeler.domain.states import UpdateState


def told(shown: dict[str, Any], labels_per_update: int) -> dict[str, Any]:
    """The JSON of what `Reports.page_of` tells."""
    running = shown["update"] if shown["update"] and shown["update"]["runs"] else None
    done = min(shown["fresh"], labels_per_update)
    now = Now(
        live=shown["live"],
        update=UpdateState(running["state"]) if running else None,
        steps_done=running["steps_done"] if running else 0,
        steps_total=running["steps_total"] if running else 0,
        says=_of_who_samples(shown["processes"]),
    )
    same = ("live", "counting", "fresh", "ready", "votes", "labels", "asks", "follow_up", "alarms")
    return {
        **{name: shown[name] for name in same},
        "update": shown["update"],
        "labels_per_update": labels_per_update,
        "progress": {
            "done": done,
            "wanted": labels_per_update,
            "text": loop.progress(done, labels_per_update, runs=running is not None),
            "why": why_none(shown["standstill"]) if shown["standstill"] else "",
        },
        "activity": loop.activity(now),
        "waiting": loop.waiting(now),
        "result": _result(shown["result"], shown["live"]) if shown["result"] else None,
    }


def _of_who_samples(processes: dict[str, str]) -> str:
    """What the one that was heard last said; `processes` are in the order of their last signs."""
    said = (says for name, says in reversed(processes.items()) if role_of(name) in SAMPLING)
    return next(said, "")


def _result(ended: dict[str, Any], live: int | None) -> dict[str, Any]:
    result = Result(
        state=UpdateState(ended["state"]),
        finding=ended["finding"],
        version=ended["version_id"],
        parent=ended["parent"],
        reason=ended["reason"],
        mine=ended["my_labels"],
        live=live,
    )
    return {
        "id": ended["id"],
        "title": update.title(result),
        "lines": update.lines(result),
        "details": update.details(result.finding),
        "good": result.good,
    }
