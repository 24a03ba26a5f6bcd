"""What verbs lock that write beside others: first a rater, then pairs by their numbers.

In that order nobody waits in a circle. A lock leaves the number of its row alone, so that rows can
be added meanwhile which refer to it. SQLite has one writer, and passes by what is said here.
"""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from labeler.store.tables import Pair, Rater


def lock_rater(session: Session, rater_id: int) -> Rater | None:
    """The account; its other pages wait until this transaction ends."""
    one = select(Rater).where(col(Rater.id) == rater_id)
    return session.exec(one.with_for_update(key_share=True)).first()


def is_disabled(rater: Rater | None) -> bool:
    """Whether an account was shut out, perhaps after its request had passed the door."""
    return rater is not None and rater.disabled_at is not None


def lock_pairs(session: Session, numbers: Iterable[int]) -> None:
    """Wait until no other transaction has these pairs in hand."""
    if wanted := list(numbers):
        rows = select(Pair.id).where(col(Pair.id).in_(wanted)).order_by(col(Pair.id))
        session.exec(rows.with_for_update(key_share=True)).all()


def lock_if_free(session: Session, number: int | None) -> Pair | None:
    """The pair, unless another transaction has it in hand."""
    one = select(Pair).where(col(Pair.id) == number)
    one = one.with_for_update(skip_locked=True, key_share=True)
    return session.exec(one.execution_options(populate_existing=True)).first()
