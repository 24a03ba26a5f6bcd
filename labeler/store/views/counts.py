"""How many there are of everything: what `status` and the dashboard both count, counted once."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from labeler.domain.rules import DueRules
from labeler.domain.states import Choice, Source
from labeler.store.learning.label_selection import new_votes
from labeler.store.learning.rounds import answered
from labeler.store.rating.checks import labels_on_checks
from labeler.store.tables import Lease, Pair, Vote


def count(session: Session, table: Any, *conditions: sa.ColumnElement[bool]) -> int:
    """Rows of a table."""
    return session.exec(select(func.count()).select_from(table).where(*conditions)).one()


def held_pairs(session: Session) -> int:
    """Pairs that somebody holds."""
    held = select(func.count(sa.distinct(col(Lease.pair_id)))).where(col(Lease.ended_at).is_(None))
    return session.exec(held).one()


def pairs_by_state(session: Session) -> dict[str, int]:
    """Pairs in each state that any is in; passes once over an index."""
    rows = select(Pair.state, func.count()).group_by(col(Pair.state))
    return dict(session.exec(rows).all())


def labels_by_source(
    session: Session, *conditions: sa.ColumnElement[bool]
) -> dict[Source, tuple[int, int]]:
    """Standing labels of each source: how many, and how many of them are used.

    Skips are none, nor are votes on pairs that check raters.
    """
    rows = (
        select(Vote.source, func.count(), func.count(col(Vote.used_in_update)))
        .where(col(Vote.superseded_by).is_(None), col(Vote.choice) != Choice.SKIP, *conditions)
        .where(col(Vote.source).in_(list(Source)))
        .group_by(col(Vote.source))
    )
    found = dict.fromkeys(Source, (0, 0))
    found |= {Source(source): (standing, used) for source, standing, used in session.exec(rows)}
    standing, used = found[Source.HUMAN]
    if standing:
        found[Source.HUMAN] = standing - len(labels_on_checks(session, *conditions)), used
    return found


def labels_to_update(session: Session, rules: DueRules) -> int:
    """Labels towards the next update; in rounds, pairs of this one that have their label."""
    if rules.mode == "iterative":
        return answered(session, rules)
    return len(new_votes(session, rules.votes, rules.max_staleness))
