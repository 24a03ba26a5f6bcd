"""What a page holds: leases on pairs, made, prolonged, taken up again and ended."""

import uuid
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.states import PairState
from labeler.store.live_version import live_at, versions_since
from labeler.store.rating.pairs import active_leases, free_slot, pair_id, settle, wait_again
from labeler.store.records import LeasedPair
from labeler.store.tables import Lease, Pair, Prompt, Vote

SPARE_SECONDS = 600.0  # what a page has put by for an outage is others' after so long without it


def new_lease(
    session: Session,
    pair: Pair,
    slot: int,
    *,
    rater_id: int,
    holder: str,
    shown_left: str,
    leased_at: float,
    expires_at: float,
) -> Lease:
    """Let a page hold a free slot of a pair."""
    lease = Lease(
        id=uuid.uuid4().hex,
        pair_id=pair_id(pair),
        rater_id=rater_id,
        holder=holder,
        slot=slot,
        shown_left=shown_left,
        leased_at=leased_at,
        expires_at=expires_at,
    )
    session.add(lease)
    return lease


def leased_pair(session: Session, lease: Lease) -> LeasedPair:
    """What the page that holds this lease shows."""
    pair = session.get_one(Pair, lease.pair_id)
    prompt = session.get_one(Prompt, pair.prompt_id)
    a, b = (pair.response_a, pair.finish_a), (pair.response_b, pair.finish_b)
    left, right = (a, b) if lease.shown_left == "a" else (b, a)
    return LeasedPair(
        lease_id=lease.id,
        version_id=_version_shown(session, lease, pair),
        messages=prompt.messages,
        left=left[0],
        right=right[0],
        left_unfinished=left[1] == "length",
        right_unfinished=right[1] == "length",
    )


def take_up_again(session: Session, most: int, *conditions: sa.ColumnElement[bool]) -> int:
    """Revive ended leases whose slot is free and whose rater neither holds nor voted on the pair.

    Returns how many they were, `most` at most.

    Otherwise a page that outlived its leases (a restart, a long break) would be handed the pairs
    that it shows a second time, and the votes on the first ones would be refused.
    """
    voted = select(Vote.id).where(
        col(Vote.pair_id) == col(Lease.pair_id),
        col(Vote.rater_id) == col(Lease.rater_id),
        col(Vote.superseded_by).is_(None),
    )
    ended = select(Lease).where(col(Lease.ended_at).is_not(None), ~voted.exists(), *conditions)
    revived = 0
    for lease in session.exec(ended.order_by(col(Lease.leased_at))):
        if revived >= most:
            break
        pair = session.get_one(Pair, lease.pair_id)
        same = col(Lease.pair_id) == pair.id, col(Lease.rater_id) == lease.rater_id
        slot = free_slot(session, pair)
        if slot is not None and not active_leases(session, *same):
            lease.slot, lease.ended_at = slot, None
            wait_again(pair)
            session.flush()
            revived += 1
    return revived


def by_age(session: Session, leases: Iterable[Lease]) -> list[tuple[int, Lease]]:
    """The leases with how many versions old what they show is, the youngest first."""
    aged: list[tuple[int, Lease]] = []
    for lease in leases:
        version = _version_shown(session, lease, session.get_one(Pair, lease.pair_id))
        aged.append((versions_since(session, version), lease))
    return sorted(aged, key=lambda each: each[0])


def prolong(
    leases: Iterable[Lease], shown: Sequence[str], *, wanted: int, seconds: float, now: float
) -> None:
    """Set when leases run out: the first `wanted` later than those that were put by.

    The page has said in which order it will show them; others come after these.
    """
    place = {lease_id: number for number, lease_id in enumerate(shown)}
    in_order = sorted(leases, key=lambda lease: place.get(lease.id, len(place)))
    for number, lease in enumerate(in_order):
        lease.expires_at = now + (seconds if number < wanted else min(seconds, SPARE_SECONDS))


def end(session: Session, leases: Sequence[Lease], now: float) -> None:
    """Give back what nobody voted on."""
    for lease in leases:
        lease.ended_at = now
    session.flush()
    for number in {lease.pair_id for lease in leases}:
        settle(session, session.get_one(Pair, number))


def _version_shown(session: Session, lease: Lease, pair: Pair) -> int:
    """The pair's version; a check's is the one that was live when it was handed out."""
    if pair.state is not PairState.CHECK:
        return pair.version_id
    version = live_at(session, lease.leased_at)
    assert version is not None  # there was a pair to hand out
    return version
