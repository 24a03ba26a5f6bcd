"""Pairs that want the votes of several raters (`--votes-per-pair`), and how long they wait.

Such a pair is trained on once all its votes are there. It waits for others only while there are
others: a rater who works alone, or faster than the rest, holds up nothing.
"""

from sqlmodel import Session, col, select

from labeler.domain.states import PairState, Source
from labeler.store.database import Database
from labeler.store.rating.pairs import close
from labeler.store.tables import Lease, Pair, Vote

ACTIVE_SECONDS = 300.0


class Overlap:
    """The verb on pairs with several votes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def settle(self, *, wait_seconds: float, now: float) -> int:
        """Settle the pairs whose further votes are not to be waited for; returns how many.

        Those are pairs that somebody voted on and nobody holds, if no other rater is active, or if
        the last vote is `wait_seconds` old. Active is who was handed a pair or voted in the last
        five minutes.
        """
        with self._database.read() as session:
            if not _overdue(session, wait_seconds, now):
                return 0
        with self._database.write() as session:
            overdue = _overdue(session, wait_seconds, now)
            for pair in overdue:
                close(session, pair)
        return len(overdue)


def _overdue(session: Session, wait_seconds: float, now: float) -> list[Pair]:
    held = select(Lease.id).where(col(Lease.pair_id) == col(Pair.id), col(Lease.ended_at).is_(None))
    waiting = select(Pair.id).where(
        col(Pair.state) == PairState.READY, col(Pair.votes_wanted) > 1, ~held.exists()
    )
    votes = select(Vote.pair_id, Vote.rater_id, Vote.created_at).where(
        col(Vote.pair_id).in_(waiting),
        col(Vote.superseded_by).is_(None),
        col(Vote.source) == Source.HUMAN,
    )
    raters: dict[int, set[int]] = {}
    last: dict[int, float] = {}
    for number, rater_id, at in session.exec(votes):
        raters.setdefault(number, set()).add(rater_id)
        last[number] = max(at, last.get(number, at))
    active = active_raters(session, since=now - ACTIVE_SECONDS) if raters else set()
    overdue = [
        number
        for number, voted in raters.items()
        if not active - voted or last[number] <= now - wait_seconds
    ]
    return [session.get_one(Pair, number) for number in overdue]


def active_raters(session: Session, *, since: float) -> set[int]:
    """Raters who were handed a pair that they hold, or voted, since then."""
    voted = select(Vote.rater_id).where(
        col(Vote.source) == Source.HUMAN,
        col(Vote.superseded_by).is_(None),
        col(Vote.created_at) > since,
    )
    holding = select(Lease.rater_id).where(
        col(Lease.ended_at).is_(None), col(Lease.leased_at) > since
    )
    return {*session.exec(voted.distinct()), *session.exec(holding.distinct())}
