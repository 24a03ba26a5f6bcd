"""Which pairs a page gets next, and how many it may put by for an outage.

The newest versions come first; pairs of earlier ones only where those have none. Leaves out what
becomes of them: `labeler.store.rating.queue`.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.states import Source
from labeler.store.live_version import ages
from labeler.store.rating.pairs import count_ready, free_slot, waits
from labeler.store.tables import Lease, Pair, Vote

AT_RANDOM = 0.25  # of the pairs that people get: what is measured on them holds for all
ON_HAND = 3  # a page holds so many in any case: one on screen, two behind it
# Whoever comes next finds so many ready, whatever others have put by.
LEFT_READY = 4


class Free(NamedTuple):
    """A pair with a free slot, and how many versions old it is; what the rater asked for is new."""

    pair: Pair
    slot: int
    age: int


def next_pairs(
    session: Session,
    rater_id: int,
    count: int,
    rng: random.Random,
    *,
    max_staleness: int,
    again: bool = False,
) -> list[Free]:
    """Up to `count` pairs that this rater neither holds nor has voted on.

    Those that others have voted on come first, then those of the newest version, and of these the
    ones that tell most. In place of a share, AT_RANDOM, come some that were not chosen for
    anything, the oldest first. None is more than `max_staleness` versions old, but for those that
    the rater asked for.
    """
    if count <= 0:
        return []
    young = ages(session, max_staleness)
    version, theirs = col(Pair.version_id), col(Pair.for_rater_id) == rater_id
    active = col(Lease.ended_at).is_(None)
    counted = sa.and_(col(Vote.superseded_by).is_(None), col(Vote.source) == Source.HUMAN)
    leases = sa.select(sa.func.count()).where(col(Lease.pair_id) == Pair.id, active)
    votes = sa.select(sa.func.count()).where(col(Vote.pair_id) == Pair.id, counted)
    mine = col(Lease.pair_id) == Pair.id, col(Lease.rater_id) == rater_id
    held = select(Lease.id).where(active, *mine).exists()
    voted = (
        select(Vote.id)
        .where(counted, col(Vote.pair_id) == Pair.id, col(Vote.rater_id) == rater_id)
        .exists()
    )
    candidates = (
        select(Pair)
        .where(
            *waits(),
            sa.or_(theirs, sa.and_(col(Pair.for_rater_id).is_(None), version.in_(young))),
            leases.scalar_subquery() + votes.scalar_subquery() < col(Pair.votes_wanted),
            ~held,
            ~voted,
        )
        .limit(count)
        # What another page gets at this moment is passed by.
        .with_for_update(skip_locked=True, key_share=True, of=Pair)
        .execution_options(populate_existing=True)
    )
    age = sa.case((theirs, 0), *((version == number, old) for number, old in young.items()))
    first, worth, number = (votes.scalar_subquery().desc(), age), col(Pair.worth), col(Pair.id)
    by_worth = list(session.exec(candidates.order_by(*first, worth.desc().nulls_last(), number)))
    by_lot = list(session.exec(candidates.order_by(*first, worth.is_not(None), number)))
    pairs: list[Pair] = []
    for _ in by_worth:
        order = by_lot if rng.random() < AT_RANDOM else by_worth
        pairs.append(next(pair for pair in (*order, *by_worth) if pair not in pairs))
    free = [
        Free(pair, slot, 0 if pair.for_rater_id == rater_id else young[pair.version_id])
        for pair in pairs
        if (slot := free_slot(session, pair)) is not None
    ]
    if len(free) < len(pairs) and not again:  # another page got one just before it was locked
        return next_pairs(session, rater_id, count, rng, max_staleness=max_staleness, again=True)
    return free


def places(
    session: Session, rater_id: int, *, held: int, given: int, wanted: int, spare: int
) -> int:
    """How many pairs a page may get, beside the `held` ones that it keeps.

    Up to `wanted`, or one less while fewer are ready than there are others at work: so each has one
    behind the one on screen before anybody has two. What it puts by beyond `wanted` must leave
    enough for everybody else, unless it only changes the `given` ones for others.
    """
    ready, others = count_ready(session), _others(session, rater_id)
    if ready < others and wanted >= ON_HAND:
        return wanted - 1 - held
    needed = wanted - held
    if spare <= 0:
        return needed
    left_over = max(0, ready - LEFT_READY - ON_HAND * others - max(0, needed - given))
    return min(needed + spare, max(needed, given) + left_over)


def _others(session: Session, rater_id: int) -> int:
    """How many other raters hold pairs."""
    raters = sa.func.count(sa.distinct(col(Lease.rater_id)))
    holding = col(Lease.ended_at).is_(None), col(Lease.rater_id) != rater_id
    return session.exec(select(raters).where(*holding)).one()


def exchanged(free: Sequence[Free], given: Sequence[int], places: int) -> tuple[int, int]:
    """How many of the `free` pairs a page gets, and how many of the `given` ones it keeps.

    Both fill its `places`. `given` are ages, youngest first: the page would give these back for
    younger ones. Nobody else gains by an exchange for older ones, and the page would wait.

    >>> new, old = Free(Pair(), 0, age=0), Free(Pair(), 0, age=1)
    >>> exchanged([new, old], [1, 1], places=2)
    (1, 1)
    """
    kept = max(0, min(len(given), places))
    taken = min(len(free), places - kept)
    while kept and taken < len(free) and free[taken].age < given[kept - 1]:
        kept, taken = kept - 1, taken + 1
    return max(0, taken), kept
