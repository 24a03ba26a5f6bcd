"""Which version was the first to come after a vote."""

from typing import NamedTuple

from sqlmodel import Session, col, select

from labeler.domain.labels import VoteRules, trainable
from labeler.domain.states import UpdateState
from labeler.store.tables import Update, Vote


class Promoted(NamedTuple):
    """An update that made a version live, and when it was opened."""

    opened_at: float
    version_id: int


def trained_by(session: Session, vote: Vote, rules: VoteRules) -> int | None:
    """The first version that came after a vote; None if there is none, or nothing to learn."""
    return trained_on(vote, promoted_since(session, since=vote.created_at), rules)


def promoted_since(session: Session, *, since: float) -> list[Promoted]:
    """The updates since then that made a version live, oldest first."""
    rows = (
        select(Update.opened_at, Update.version_id)
        .where(col(Update.state) == UpdateState.PROMOTED, col(Update.opened_at) >= since)
        .order_by(col(Update.id))
    )
    with_used = [Promoted(*row) for row in session.exec(rows)]
    return [update for update in with_used if update.version_id is not None]


def trained_on(vote: Vote, promoted: list[Promoted], rules: VoteRules) -> int | None:
    """The first of these that came after a vote; None if none did, or there is nothing to learn."""
    if vote.choice not in trainable(rules):
        return None
    return next((u.version_id for u in promoted if u.opened_at >= vote.created_at), None)
