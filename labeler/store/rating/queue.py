"""The queue: pairs on their way to a page, and who holds them.

What a lease or its end makes of a pair is said in `labeler.store.rating.pairs`.
"""

import itertools
import random
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain import sides
from labeler.domain.labels import HINTS
from labeler.domain.response_stats import Said
from labeler.domain.rules import D_OPTIMAL, CheckRules, QueueRules
from labeler.domain.states import PairState, Purpose
from labeler.store.database import Database
from labeler.store.live_version import wanted_versions
from labeler.store.rating.checks import check_for
from labeler.store.rating.leases import by_age, end, leased_pair, new_lease, prolong, take_up_again
from labeler.store.rating.locks import is_disabled, lock_pairs, lock_rater
from labeler.store.rating.next_pairs import Free, exchanged, next_pairs, places
from labeler.store.rating.pairs import (
    active_leases,
    add_pairs,
    count_new,
    free_slot,
    of_live,
    retire_replaced,
    retire_too_old,
    too_old,
    waits,
)
from labeler.store.records import Answered, Drawn, LeasedPair, NewPair
from labeler.store.tables import Lease, Pair, Prompt, Vote

LAST_PAIRS = 64
MAX_HELD = 64  # leases of one rater, over all their pages


class Queue:
    """The verbs on pairs and leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        pairs: Sequence[NewPair],
        *,
        now: float,
        votes_wanted: int = 1,
        queue: QueueRules | None = None,
        max_staleness: int = 0,
    ) -> int:
        """Queue the pairs of the live version; those of an older one are stale, and dropped.

        They take the place of old ones as the rules of the `queue` say. With a `max_staleness` only
        those that are older still are dropped, and those that somebody has done away with: whoever
        draws may not have got the live version yet. Returns how many were queued.
        """
        with self._database.write() as session:
            wanted = wanted_versions(session, max_staleness)
            current = [pair for pair in pairs if pair.version_id in wanted]
            add_pairs(session, current, now=now, votes_wanted=votes_wanted)
            if current and queue is not None:
                retire_replaced(session, queue.pairs)
        return len(current)

    def ready(self) -> int:
        """Pairs that wait for their first rater, with nobody on them."""
        with self._database.read() as session:
            return count_new(session)

    def ready_of_live(self, or_of: int | None = None) -> int:
        """Those of them that are of the live version, or of this one."""
        with self._database.read() as session:
            return count_new(session, sa.or_(of_live(), col(Pair.version_id) == or_of))

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

        Not what was picked from many for what it tells, nor what was drawn under a hint: that is
        not how the version answers.
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
                if pair.sampling.get("candidate_pair") != D_OPTIMAL and not pair.sampling.get(HINTS)
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

    def kinds(self, last: int) -> list[Drawn]:
        """The responses of the last so many sampled pairs that have a label."""
        newest = (
            select(Pair, Prompt)
            .join(Prompt)
            .where(col(Pair.purpose) == Purpose.LOOP, col(Pair.state) == PairState.LABELLED)
            .order_by(col(Pair.id).desc())
            .limit(last)
        )
        with self._database.read() as session:
            return [
                Drawn(prompt.messages, text, hint)
                for pair, prompt in session.exec(newest)
                for text, hint in zip(
                    (pair.response_a, pair.response_b),
                    pair.sampling.get(HINTS, (None, None)),
                    strict=True,
                )
            ]

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
        spare: int = 0,
        shown: Sequence[str] = (),
        give_back: Sequence[str] = (),
        seconds: float,
        now: float,
        rng: random.Random,
        max_staleness: int,
        checks: CheckRules | None = None,
    ) -> list[LeasedPair]:
        """Hand pairs to a page until it holds `wanted`, and prolong those it shows.

        `shown` are the lease ids that the page has, the most urgent first; those that ran out are
        taken up again where their slot is still free. Leases of the same holder that it does not
        name (it was reloaded, or the answer got lost) come back first, then pairs from the queue,
        in whose place a check may come now and then, by lot. Where there are plenty, it gets up to
        `spare` more for an outage; these go back sooner once the page is gone. What it would
        `give_back` comes back, too, if there is nothing newer in its place, unless it is more than
        `max_staleness` versions old: a vote on it would not count.

        A rater holds MAX_HELD at most, so that nobody can keep the queue from others; one whose
        account is disabled gets none.
        """
        named, given_back = set(shown), set(give_back)
        own = col(Lease.holder) == holder, col(Lease.rater_id) == rater_id
        if not (named or given_back) and self._has_nothing(rater_id, *own):
            return []
        with self._database.write(alone=False) as session:
            if is_disabled(lock_rater(session, rater_id)):
                return []
            _lock_pairs_of_page(session, named, *own)
            may_hold = MAX_HELD - len(active_leases(session, col(Lease.rater_id) == rater_id))
            may_hold -= take_up_again(session, may_hold, *own, col(Lease.id).in_(named))
            theirs = active_leases(session, *own)
            aged = by_age(session, (lease for lease in theirs if lease.id in given_back))
            given = [each for each in aged if each[0] <= max_staleness]
            mine = [lease for lease in theirs if lease.id not in given_back]
            most = places(
                session, rater_id, held=len(mine), given=len(given), wanted=wanted, spare=spare
            )
            most = min(most, may_hold + len(given))
            free = next_pairs(session, rater_id, most, rng, max_staleness=max_staleness)
            taken, kept = exchanged(free, [age for age, _ in given], most)
            end(session, [lease for _, lease in aged[kept:]], now)
            mine += [lease for _, lease in aged[:kept]]
            for each in free[:taken]:
                pair, slot = _or_check(session, rater_id, each, checks, now=now, rng=rng)
                mine.append(
                    new_lease(
                        session,
                        pair,
                        slot,
                        rater_id=rater_id,
                        holder=holder,
                        shown_left=sides.shown_left(rng),
                        leased_at=now,
                        expires_at=now,
                    )
                )
            prolong(mine, shown, wanted=wanted, seconds=seconds, now=now)
            session.flush()
            return [leased_pair(session, lease) for lease in mine if lease.id not in named]

    def _has_nothing(self, rater_id: int, *own: sa.ColumnElement[bool]) -> bool:
        """Whether no pair is free and the page holds none, so that a lease would change nothing.

        False where in doubt: one of several votes may be to come, and a pair may be too old.

        Pages with nothing to show ask twice a second. Where many do, their turns at the database
        would keep out the one who draws what they wait for.
        """
        active, of_pair = col(Lease.ended_at).is_(None), col(Lease.pair_id) == col(Pair.id)
        held = select(Lease.id).where(active, *own).exists()
        taken = select(Lease.id).where(active, of_pair).exists()
        voted = select(Vote.id).where(
            col(Vote.pair_id) == col(Pair.id),
            col(Vote.rater_id) == rater_id,
            col(Vote.superseded_by).is_(None),
        )
        may_have = sa.or_(col(Pair.for_rater_id).is_(None), col(Pair.for_rater_id) == rater_id)
        room = sa.or_(col(Pair.votes_wanted) > 1, ~taken)
        free = select(Pair.id).where(*waits(), may_have, room, ~voted.exists()).exists()
        with self._database.read() as session:
            return not session.exec(select(sa.or_(held, free))).one()

    def retire_too_old(self, *, max_staleness: int) -> None:
        """Retire what waits in vain: pairs of versions that are too old for a vote to count."""
        with self._database.read() as session:
            if session.exec(too_old(session, max_staleness).limit(1)).first() is None:
                return
        with self._database.write() as session:
            retire_too_old(session, max_staleness)

    def end_expired_leases(self, *, now: float) -> int:
        """Give back what ran out; returns how many leases that were."""
        with self._database.read() as session:
            if not active_leases(session, col(Lease.expires_at) <= now):
                return 0
        with self._database.write() as session:
            expired = active_leases(session, col(Lease.expires_at) <= now)
            end(session, expired, now)
        return len(expired)

    def end_all_leases(self, *, now: float) -> None:
        """Give everything back, as at a clean stop; a page that votes later takes it up again."""
        with self._database.write() as session:
            end(session, active_leases(session), now)


def end_leases_of(session: Session, rater_id: int, *, now: float) -> None:
    """Give back all that a rater holds."""
    end(session, active_leases(session, col(Lease.rater_id) == rater_id), now)


def _lock_pairs_of_page(session: Session, named: set[str], *own: sa.ColumnElement[bool]) -> None:
    """Lock the pairs of its leases, which may end or come back."""
    here = sa.or_(col(Lease.ended_at).is_(None), col(Lease.id).in_(named))
    lock_pairs(session, session.exec(select(Lease.pair_id).where(here, *own)))


def _or_check(
    session: Session,
    rater_id: int,
    free: Free,
    checks: CheckRules | None,
    *,
    now: float,
    rng: random.Random,
) -> tuple[Pair, int]:
    """The free pair, or by lot a check in its place; with the slot.

    The pair that this rater asked for themselves is never kept back. A check is said to be of the
    live version, so none comes in the place of an older pair, among which it would stand out.
    """
    if checks is not None and free.pair.for_rater_id is None and free.age == 0:
        check = check_for(session, rater_id, checks, now=now, rng=rng)
        if check is not None:
            return check, free_slot(session, check) or 0
    return free.pair, free.slot


def _responses(pairs: Iterable[Pair]) -> list[Said]:
    return [said for pair in pairs for said in _said(pair)]


def _said(pair: Pair) -> tuple[Said, Said]:
    return (
        Said(pair.tokens_a, pair.finish_a, pair.logp_a),
        Said(pair.tokens_b, pair.finish_b, pair.logp_b),
    )
