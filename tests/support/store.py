"""Steps of the loop for the tests of the store, and a look at the tables past its verbs."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import SQLModel, select

from labeler.domain.finding import Finding
from labeler.domain.rules import DueRules
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Ballot, Claim, NewVersion
from tests.support.tiny import add_pairs

Row = TypeVar("Row", bound=SQLModel)

N = 4
RULES = DueRules(labels_per_update=N, max_staleness=2, cooldown_seconds=0.0)


def states(store: Store) -> list[str]:
    """The state of each version, oldest first."""
    return [row.state.value for row in store.versions.all()]


def vote(
    store: Store, count: int, choice: str = "left", *, now: float = 1002.0, strength: int = 1
) -> list[str]:
    """Votes of the local rater on the next pairs; returns their ids."""
    rater = store.raters.local(now=1.0)
    leased = store.queue.lease(
        rater_id=rater, holder="tab", wanted=count, seconds=60, now=now, rng=random.Random(0)
    )
    assert len(leased) == count
    for pair in leased:
        ballot = Ballot("vote " + pair.lease_id, pair.lease_id, choice, strength)
        assert store.votes.record(ballot, rater_id=rater, now=now).saved
    return ["vote " + pair.lease_id for pair in leased]


def open_update(store: Store, now: float = 1010.0, **changed: Any) -> int | None:
    return store.updates.open_if_due(replace(RULES, **changed), now=now)


def claim(store: Store, worker: str = "w", now: float = 1011.0, rules: DueRules = RULES) -> Claim:
    claimed = store.updates.claim(worker=worker, rules=rules.votes, now=now)
    assert claimed is not None
    return claimed


def version(number: int) -> NewVersion:
    return NewVersion(id=number, folder=f"v{number}", sha256="x", finding=Finding(labels=N))


def promote(store: Store, claimed: Claim, number: int, now: float = 1020.0) -> None:
    """Make a version live that was trained on all of the claim's labels."""
    labels = [vote_id for label in claimed.labels for vote_id in label.vote_ids]
    store.updates.promote(claimed, version(number), [], trained_on=labels, now=now)


def make_version(store: Store, number: int, pairs: int = 12, now: float = 1010.0) -> None:
    """One turn of the loop: N votes, an update, its version live with pairs of its own."""
    vote(store, N, now=now)
    open_update(store, now + 1)
    promote(store, claim(store, now=now + 2), number, now=now + 3)
    add_pairs(store, pairs, version=number)


def rows(database: Database, table: type[Row], *where: Any) -> list[Row]:
    """The rows of a table for which all of `where` is true, in the order of their keys."""
    wanted = select(table).where(*where).order_by(*sa.inspect(table).primary_key)
    with database.read() as session:
        return list(session.exec(wanted))


def add(database: Database, *new: SQLModel) -> None:
    """Rows that no verb would write so."""
    with database.write() as session:
        session.add_all(new)


def change(database: Database, table: type[SQLModel], key: object, **values: object) -> None:
    """Other values for one row, whatever the verbs would say to them."""
    with database.write() as session:
        row = session.get_one(table, key)
        for name, value in values.items():
            setattr(row, name, value)


@contextmanager
def only_writer(database: Database) -> Iterator[None]:
    """Hold the right to write: a verb that wants it too waits half a minute, and fails."""
    with database.write() as session:
        session.execute(sa.text("SELECT 1"))  # only now does it begin
        yield
