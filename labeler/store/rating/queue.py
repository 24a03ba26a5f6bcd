"""The queue: pairs on their way to a page, and who holds them.

What a lease or its end makes of a pair is said in `labeler.store.rating.pairs`.
"""

import itertools
import random
import uuid
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain import sides
from labeler.domain.response_stats import Said
from labeler.domain.rules import D_OPTIMAL, CheckRules
from labeler.domain.states import PairState, Purpose, Source
from labeler.store.database import Database
from labeler.store.live_version import live_at, live_id
from labeler.store.rating.checks import check_for
from labeler.store.rating.pairs import (
    active_leases,
    add_pairs,
    count_new,
    free_slot,
    pair_id,
    settle,
    wait_again,
)
from labeler.store.records import Answered, LeasedPair, NewPair
from labeler.store.tables import Lease, Pair, Prompt, Rater, Vote

LAST_PAIRS = 64
MAX_HELD = 64  # leases of one rater, over all their pages
AT_RANDOM = 0.25  # of the pairs that people get: what is measured on them holds for all


class Queue:
    """The verbs on pairs and leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, pairs: Sequence[NewPair], *, now: float, votes_wanted: int = 1) -> int:
        """Queue the pairs of the live version; those of an older one are stale, and dropped.

        Returns how many were queued.
        """
        with self._database.write() as session:
            live = live_id(session)
            current = [pair for pair in pairs if pair.version_id == live]
            add_pairs(session, current, now=now, votes_wanted=votes_wanted)
        return len(current)

    def ready(self) -> int:
        """Pairs that wait for their first rater, with nobody on them."""
        with self._database.read() as session:
            return count_new(session)

    def taken(self, *, since: float) -> tuple[int, float | None]:
        """How many pairs people have voted on since then, and when the first of these votes came.

        A pair counts once, however many people vote on it.
        """
        pairs = sa.func.count(sa.distinct(col(Vote.pair_id)))
        with_a_lease = col(Vote.lease_id).is_not(None), col(Vote.created_at) > since
        with self._database.read() as session:
            return session.exec(
                select(pairs, sa.func.min(Vote.created_at)).where(*with_a_lease)
            ).one()

    def answers(self, version_id: int) -> list[Answered]:
        """What this version said last, the newest first.

        Not what was picked from many for what it tells: that is not how the version answers.
        """
        newest = (
            select(Pair, Prompt)
            .join(Prompt)
            .where(col(Pair.version_id) == version_id, col(Pair.purpose) == Purpose.LOOP)
            .order_by(col(Pair.id).desc())
            .limit(4 * LAST_PAIRS)
        )
        with self._database.read() as session:
            typical = (
                Answered(
                    prompt_id=pair.prompt_id,
                    messages=prompt.messages,
                    prompt_tokens=pair.prompt_tokens,
                    texts=(pair.response_a, pair.response_b),
                    said=_said(pair),
                )
                for pair, prompt in session.exec(newest)
                if pair.sampling.get("candidate_pair") != D_OPTIMAL
            )
            return list(itertools.islice(typical, LAST_PAIRS))

    def voted(self, last: int) -> list[tuple[str, str]]:
        """The responses of the last so many sampled pairs that have a label."""
        newest = (
            select(Pair.response_a, Pair.response_b)
            .where(col(Pair.purpose) == Purpose.LOOP, col(Pair.state) == PairState.LABELLED)
            .order_by(col(Pair.id).desc())
            .limit(last)
        )
        with self._database.read() as session:
            return [(a, b) for a, b in session.exec(newest)]

    def first_and_last(self, pairs: int, *, version_id: int) -> tuple[list[Said], list[Said]]:
        """The responses of the first so many pairs, and of the last so many of a version.

        None of either as long as there are too few of that version.
        """
        sampled = select(Pair).where(col(Pair.purpose) == Purpose.LOOP)
        of_version = sampled.where(col(Pair.version_id) == version_id)
        newest = of_version.order_by(col(Pair.id).desc()).limit(pairs)
        with self._database.read() as session:
            last = session.exec(newest).all()
            if len(last) < pairs:
                return [], []
            first = session.exec(sampled.order_by(col(Pair.id)).limit(pairs))
            return _responses(first), _responses(last)

    def lease(
        self,
        *,
        rater_id: int,
        holder: str,
        wanted: int,
        shown: Iterable[str] = (),
        seconds: float,
        now: float,
        rng: random.Random,
        checks: CheckRules | None = None,
    ) -> list[LeasedPair]:
        """Hand pairs to a page until it holds `wanted`, and prolong those it shows.

        `shown` are the lease ids that the page has; those that ran out are taken up again where
        their slot is still free. Leases of the same holder that it does not name (it was reloaded,
        or the answer got lost) come back first, then pairs from the queue, in whose place a check
        may come now and then, by lot. A rater holds MAX_HELD at most, so that nobody can keep the
        queue from others; one whose account is disabled gets none.
        """
        named = set(shown)
        own = col(Lease.holder) == holder, col(Lease.rater_id) == rater_id
        with self._database.write() as session:
            if is_disabled(session, rater_id):
                return []
            may_hold = MAX_HELD - len(active_leases(session, col(Lease.rater_id) == rater_id))
            may_hold -= _take_up_again(session, may_hold, *own, col(Lease.id).in_(named))
            mine = active_leases(session, *own)
            for lease in mine:
                lease.expires_at = now + seconds
            lost = [lease for lease in mine if lease.id not in named]
            free = _free_slots(session, rater_id, min(wanted - len(mine), may_hold), rng)
            for pair, slot in free:
                # The pair that this rater asked for themselves is never kept back.
                if checks is not None and pair.for_rater_id is None:
                    check = check_for(session, rater_id, checks, now=now, rng=rng)
                    if check is not None:
                        pair, slot = check, free_slot(session, check) or 0
                left, until = sides.shown_left(rng), now + seconds
                lost.append(
                    new_lease(
                        session,
                        pair,
                        slot,
                        rater_id=rater_id,
                        holder=holder,
                        shown_left=left,
                        leased_at=now,
                        expires_at=until,
                    )
                )
            session.flush()
            return [leased_pair(session, lease) for lease in lost]

    def give_back(self, lease_ids: Sequence[str], *, rater_id: int, now: float) -> None:
        """End leases of a rater that were not voted on."""
        with self._database.write() as session:
            mine = col(Lease.id).in_(lease_ids), col(Lease.rater_id) == rater_id
            _end(session, active_leases(session, *mine), now)

    def end_expired_leases(self, *, now: float) -> int:
        """Give back what ran out; returns how many leases that were."""
        with self._database.read() as session:
            if not active_leases(session, col(Lease.expires_at) <= now):
                return 0
        with self._database.write() as session:
            expired = active_leases(session, col(Lease.expires_at) <= now)
            _end(session, expired, now)
        return len(expired)

    def end_all_leases(self, *, now: float) -> None:
        """Give everything back, as at a clean stop; a page that votes later takes it up again."""
        with self._database.write() as session:
            _end(session, active_leases(session), now)


def end_leases_of(session: Session, rater_id: int, *, now: float) -> None:
    """Give back all that a rater holds."""
    _end(session, active_leases(session, col(Lease.rater_id) == rater_id), now)


def is_disabled(session: Session, rater_id: int) -> bool:
    """Whether an account was shut out, perhaps after its request had passed the door."""
    rater = session.get(Rater, rater_id)
    return rater is not None and rater.disabled_at is not None


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


def _version_shown(session: Session, lease: Lease, pair: Pair) -> int:
    """The pair's version; a check's is the one that was live when it was handed out."""
    if pair.state is not PairState.CHECK:
        return pair.version_id
    version = live_at(session, lease.leased_at)
    assert version is not None  # there was a pair to hand out
    return version


def _free_slots(
    session: Session, rater_id: int, count: int, rng: random.Random
) -> list[tuple[Pair, int]]:
    """Up to `count` pairs that this rater neither holds nor has voted on.

    Those that others have voted on come first, then those that tell most. In place of a share of
    these, AT_RANDOM, come some that were not chosen for anything, the oldest first.
    """
    if count <= 0:
        return []
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
            col(Pair.state) == PairState.READY,
            sa.or_(col(Pair.for_rater_id).is_(None), col(Pair.for_rater_id) == rater_id),
            leases.scalar_subquery() + votes.scalar_subquery() < col(Pair.votes_wanted),
            ~held,
            ~voted,
        )
        .limit(count)
    )
    begun, worth, age = votes.scalar_subquery().desc(), col(Pair.worth), col(Pair.id)
    by_worth = list(session.exec(candidates.order_by(begun, worth.desc().nulls_last(), age)))
    by_lot = list(session.exec(candidates.order_by(begun, worth.is_not(None), age)))
    pairs: list[Pair] = []
    for _ in by_worth:
        order = by_lot if rng.random() < AT_RANDOM else by_worth
        pairs.append(next(pair for pair in order if pair not in pairs))
    return [(pair, slot) for pair in pairs if (slot := free_slot(session, pair)) is not None]


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


def _take_up_again(session: Session, most: int, *conditions: sa.ColumnElement[bool]) -> int:
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


def _end(session: Session, leases: Sequence[Lease], now: float) -> None:
    for lease in leases:
        lease.ended_at = now
    session.flush()
    for number in {lease.pair_id for lease in leases}:
        settle(session, session.get_one(Pair, number))


def _responses(pairs: Iterable[Pair]) -> list[Said]:
    return [said for pair in pairs for said in _said(pair)]


def _said(pair: Pair) -> tuple[Said, Said]:
    return (
        Said(pair.tokens_a, pair.finish_a, pair.logp_a),
        Said(pair.tokens_b, pair.finish_b, pair.logp_b),
    )
