"""Rounds, the iterative mode: N pairs of one version, all of them answered, then an update.

A pair belongs to the round while it waits, and when it has a vote that a label can be made of and
that no rejected update trained on. A pair that was skipped, set aside or retired, or whose tie
teaches nothing under the rules is replaced by another, so that a round always ends with N pairs to
learn from; and a rejected update is followed by a new round of the same version.
"""

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.rules import DueRules
from labeler.domain.states import Purpose
from labeler.store.learning.label_selection import new_votes
from labeler.store.live_version import live_id
from labeler.store.rating.pairs import waits
from labeler.store.tables import Pair, Update


def pairs_left(session: Session, rules: DueRules) -> int:
    """How many pairs this round still takes; none while an update is open."""
    is_open = select(Update.id).where(col(Update.finished_at).is_(None))
    if live_id(session) is None or session.exec(is_open).first() is not None:
        return 0
    return max(0, rules.labels_per_update - _waiting(session) - answered(session, rules))


def is_over(session: Session, rules: DueRules) -> bool:
    """Whether every pair of the live version is settled and the round is full."""
    return _waiting(session) == 0 and answered(session, rules) >= rules.labels_per_update


def answered(session: Session, rules: DueRules) -> int:
    """Pairs of the live version with a label for the next update."""
    live = live_id(session)
    votes = new_votes(session, rules.votes, rules.max_staleness)
    return len({vote.pair_id for vote in votes if vote.version_id == live})


def _waiting(session: Session) -> int:
    """The loop's pairs of the live version that are not settled, in somebody's hands or not."""
    of_round = col(Pair.version_id) == live_id(session), col(Pair.purpose) == Purpose.LOOP
    return session.exec(select(sa.func.count()).select_from(Pair).where(*waits(), *of_round)).one()
