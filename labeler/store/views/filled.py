"""Pairs that nobody rated: how many there are, and how good the reward model is."""

from typing import Any

from sqlmodel import Session

from labeler.store.tables import FilledPair, ProcessState
from labeler.store.views.counts import count

ROLE = "reward model"


def fill_report(session: Session) -> dict[str, Any] | None:
    """What `status` tells of them; None if none were ever asked for."""
    state = session.get(ProcessState, ROLE)
    if state is None:
        return None
    return {"pairs": count(session, FilledPair), "says": state.says}
