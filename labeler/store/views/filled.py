"""Pairs that nobody rated: how many there are, and how good the reward model is."""

from typing import Any

from sqlmodel import Session

from labeler.store.tables import FilledPair, RoleState
from labeler.store.views.counts import count

ROLE = "reward model"


def fill_report(session: Session) -> dict[str, Any] | None:
    """What `status` tells of them; None if none were ever asked for."""
    role = session.get(RoleState, ROLE)
    if role is None:
        return None
    return {"pairs": count(session, FilledPair), "says": role.says}
