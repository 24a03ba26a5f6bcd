"""How many there are of everything: what `status` and the dashboard both count, counted once."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from labeler.domain.rules import DueRules
from labeler.domain.states import Choice, Source
from labeler.store.learning.label_selection import new_votes
from labeler.store.learning.rounds import answered
from labeler.store.rating.checks import labels_on_checks
from labeler.store.tables import Lease, LiveChange, Pair, ProcessState, Prompt, Update, Vote


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


def written_at(session: Session) -> float | None:
    """When the newest of all that is in the database was written; None if there is nothing.

    While a service runs, its processes say every few seconds that they live.
    """
    newest = (
        session.exec(select(func.max(moment))).one()
        for moment in (
            ProcessState.beat_at,
            Vote.created_at,
            Update.opened_at,
            Update.finished_at,
            LiveChange.at,
            Prompt.created_at,
        )
    )
    return max((moment for moment in newest if moment is not None), default=None)
