"""What becomes of a pair: its slots, its state, and how many pairs wait.

A pair with `votes_wanted` = k has k slots. A slot is taken by an active lease or by a vote; a
partial unique index makes two active leases on one slot impossible. Pairs of earlier versions go as
new ones take their place, or once they are too old to count; those that somebody holds, after that.
A judge's label takes no slot: it ends the wait of a pair that nobody holds, and a person may still
overrule it. A pair that was set aside is ready, and yet waits for no votes until it is put back.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from labeler.domain.states import Choice, PairState, Source, VersionState
from labeler.store.live_version import ages
from labeler.store.records import NewPair
from labeler.store.tables import Lease, LiveChange, Pair, PolicyVersion, Vote


def pair_id(pair: Pair) -> int:
    """The number of a pair that came from the database."""
    assert pair.id is not None
    return pair.id


def add_pairs(
    session: Session, pairs: Sequence[NewPair], *, now: float, votes_wanted: int = 1
) -> None:
    """Insert pairs within the caller's transaction."""
    for pair in pairs:
        row = Pair(**vars(pair), state=PairState.READY, votes_wanted=votes_wanted, created_at=now)
        session.add(row)


def waits() -> tuple[sa.ColumnElement[bool], ...]:
    """Whether a pair waits for votes, of people or of a judge."""
    return col(Pair.state) == PairState.READY, col(Pair.aside_at).is_(None)


def count_ready(session: Session, *conditions: sa.ColumnElement[bool]) -> int:
    """Waiting pairs that no lease holds, and that anybody may have who has not voted on them."""
    held = select(Lease.pair_id).where(col(Lease.ended_at).is_(None))
    waiting = (
        *waits(),
        col(Pair.id).not_in(held),
        col(Pair.for_rater_id).is_(None),
        *conditions,
    )
    return session.exec(select(sa.func.count()).select_from(Pair).where(*waiting)).one()


def of_live() -> sa.ColumnElement[bool]:
    """Whether a pair is of the live version."""
    live = select(PolicyVersion.id).where(col(PolicyVersion.state) == VersionState.LIVE)
    return col(Pair.version_id) == live.scalar_subquery()


def count_new(session: Session, *conditions: sa.ColumnElement[bool]) -> int:
    """Ready pairs that nobody holds or voted on.

    Those that wait for further raters are left out: whoever has voted on them would wait for other
    ones in vain.
    """
    voted = select(Vote.id).where(
        col(Vote.pair_id) == col(Pair.id),
        col(Vote.superseded_by).is_(None),
        col(Vote.source) == Source.HUMAN,
    )
    return count_ready(session, sa.or_(col(Pair.votes_wanted) == 1, ~voted.exists()), *conditions)


def retire_replaced(session: Session, pairs: int) -> None:
    """Retire pairs of earlier versions, the oldest first, while more than `pairs` are ready.

    Not what a rater asked for themselves: nothing takes its place.
    """
    surplus = count_ready(session) - pairs
    if surplus > 0:
        anybodys = col(Pair.for_rater_id).is_(None)
        old = _unheld(~of_live(), anybodys, *waits())
        oldest = old.order_by(_last_live(), col(Pair.id)).limit(surplus)
        _retire(session, oldest)


def retire_too_old(session: Session, max_staleness: int) -> None:
    """Retire the pairs that are more than so many versions old."""
    _retire(session, too_old(session, max_staleness))


def retire_of(session: Session, version_id: int) -> None:
    """Retire the pairs of a version that a person has done away with."""
    _retire(session, _unheld(col(Pair.version_id) == version_id))


def too_old(session: Session, max_staleness: int) -> SelectOfScalar[Pair]:
    """The ready pairs that are more than so many versions old and that nobody holds."""
    return _unheld(col(Pair.version_id).not_in(ages(session, max_staleness)))


def settle(session: Session, pair: Pair) -> None:
    """Set the state that the pair's votes and leases now call for; a check stays one."""
    if pair.state is PairState.CHECK:
        return
    votes = _votes(session, pair)
    held = active_leases(session, col(Lease.pair_id) == pair.id)
    judged = len(votes) > len(_people(votes)) and not held
    full = len(_people(votes)) >= pair.votes_wanted
    pair.state = _final_state(session, pair) if full or judged else PairState.READY


def close(session: Session, pair: Pair) -> None:
    """Settle a pair with the votes that it has."""
    pair.state = _final_state(session, pair)


def wait_again(pair: Pair) -> None:
    """Let a settled pair wait for votes once more."""
    if pair.state is not PairState.CHECK:
        pair.state = PairState.READY


def free_slot(session: Session, pair: Pair) -> int | None:
    """The lowest slot of a pair that is neither leased nor voted on; None if all are taken.

    A judge takes none: a person's vote is welcome after it. A check has a slot for everyone.
    """
    taken = {lease.slot for lease in active_leases(session, col(Lease.pair_id) == pair.id)}
    votes = len(_people(_votes(session, pair)))
    if pair.state is not PairState.CHECK and len(taken) + votes >= pair.votes_wanted:
        return None
    return min(slot for slot in range(len(taken) + 1) if slot not in taken)


def active_leases(session: Session, *conditions: sa.ColumnElement[bool]) -> list[Lease]:
    """The leases that hold a slot, oldest first."""
    rows = select(Lease).where(col(Lease.ended_at).is_(None), *conditions)
    return list(session.exec(rows.order_by(col(Lease.leased_at), col(Lease.pair_id))))


def _unheld(*conditions: sa.ColumnElement[bool]) -> SelectOfScalar[Pair]:
    """Ready pairs that no lease holds."""
    held = select(Lease.pair_id).where(col(Lease.ended_at).is_(None))
    ready = col(Pair.state) == PairState.READY, col(Pair.id).not_in(held)
    return select(Pair).where(*ready, *conditions)


def _last_live() -> sa.ScalarSelect[int | None]:
    """When the version of a pair was last live, as a number that grows."""
    last = select(sa.func.max(LiveChange.id)).where(
        col(LiveChange.version_id) == col(Pair.version_id)
    )
    return last.scalar_subquery()


def _retire(session: Session, which: SelectOfScalar[Pair]) -> None:
    for pair in session.exec(which).all():
        pair.state = _final_state(session, pair)


def _final_state(session: Session, pair: Pair) -> PairState:
    says_something = any(vote.choice is not Choice.SKIP for vote in _votes(session, pair))
    return PairState.LABELLED if says_something else PairState.EXPIRED


def _votes(session: Session, pair: Pair) -> list[Vote]:
    rows = select(Vote).where(col(Vote.pair_id) == pair.id, col(Vote.superseded_by).is_(None))
    return list(session.exec(rows))


def _people(votes: Sequence[Vote]) -> list[Vote]:
    return [vote for vote in votes if vote.source is Source.HUMAN]
