"""How often people could not choose between two replies: by skip, or as both bad.

Of the live version beside the ones before: a policy may find a way not to be judged.
"""

from dataclasses import replace

from sqlmodel import Session, col, func, select

from labeler.domain.health import MIN_UNDECIDED_RISE
from labeler.domain.states import Choice, Purpose, Source
from labeler.domain.undecided import Undecided
from labeler.stats.coin import as_many_by_chance
from labeler.store.live_version import live_id
from labeler.store.tables import Pair, Vote

LAST_VOTES = 400


def undecided(session: Session) -> Undecided | None:
    """The last votes of people on pairs of the loop; None before there is a version."""
    live = live_id(session)
    if live is None:
        return None
    last = (
        select(Vote.choice, Pair.version_id)
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .where(
            col(Vote.source) == Source.HUMAN,
            col(Vote.superseded_by).is_(None),
            col(Pair.purpose) == Purpose.LOOP,
        )
        .order_by(col(Vote.created_at).desc())
        .limit(LAST_VOTES)
        .subquery()
    )
    is_live = last.c.version_id == live
    rows = select(is_live, last.c.choice, func.count()).group_by(is_live, last.c.choice)
    hits, votes = {True: 0, False: 0}, {True: 0, False: 0}
    for of_live, choice, count in session.exec(rows):
        votes[bool(of_live)] += count
        hits[bool(of_live)] += count if choice in (Choice.SKIP, Choice.BOTH_BAD) else 0
    found = Undecided(live, hits[True], votes[True], hits[False], votes[False], by_chance=1.0)
    share, before = found.shares
    if share - before < MIN_UNDECIDED_RISE:
        return found  # the exact test waits until there is something to test
    counts = found.hits, found.votes, found.earlier_hits, found.earlier_votes
    return replace(found, by_chance=as_many_by_chance(*counts))
