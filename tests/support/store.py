"""Steps of the loop for the tests of the store, and a look at the tables past its verbs."""

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import SQLModel, select

from labeler.domain.finding import Finding
from labeler.domain.rules import CheckRules, DueRules
from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Ballot, Claim, LeasedPair, NewPair, NewVersion, Undone
from labeler.store.tables import PolicyVersion, Update
from tests.support.tiny import add_pairs

Row = TypeVar("Row", bound=SQLModel)

N = 4
RULES = DueRules(labels_per_update=N, max_staleness=2, cooldown_seconds=0.0)
FINDING = Finding(labels=N)


def states(store: Store) -> list[str]:
    """The state of each version, oldest first."""
    return [row.state.value for row in store.versions.all()]


def second_rater(store: Store) -> int:
    """Another rater than the local one."""
    store.raters.local(now=1.0)
    store.raters.invite("second", RaterRole.RATER, now=1.0)
    return store.raters.find("second").id


def live(store: Store) -> PolicyVersion:
    """The live version, of which there is one."""
    version = store.versions.live()
    assert version is not None
    return version


def last_update(store: Store) -> Update:
    """The newest update, of which there is one."""
    update = store.updates.last()
    assert update is not None
    return update


def alarm_of(store: Store, process: str) -> str | None:
    """The alarm that a process has raised, if it has."""
    return next((row.alarm for row in store.processes.all() if row.name == process), None)


def lease(
    store: Store,
    count: int = 1,
    *,
    rater: int | None = None,
    holder: str = "tab",
    shown: Sequence[str] = (),
    seconds: float = 60.0,
    now: float = 1001.0,
    rng: random.Random | None = None,
    checks: CheckRules | None = None,
    spare: int = 0,
    give_back: Sequence[str] = (),
    max_staleness: int = RULES.max_staleness,
) -> list[LeasedPair]:
    """The next pairs for a page of this rater, or of the local one."""
    return store.queue.lease(
        rater_id=store.raters.local(now=1.0) if rater is None else rater,
        holder=holder,
        wanted=count,
        spare=spare,
        shown=shown,
        give_back=give_back,
        seconds=seconds,
        now=now,
        rng=rng or random.Random(0),
        checks=checks,
        max_staleness=max_staleness,
    )


def give_back(
    store: Store,
    *leases: str,
    rater: int | None = None,
    holder: str = "tab",
    now: float = 1001.0,
) -> None:
    """End leases of a page that it does not vote on."""
    lease(store, 0, rater=rater, holder=holder, give_back=leases, now=now)


def vote_on(
    store: Store,
    pair: LeasedPair,
    choice: str = "left",
    *,
    rater: int | None = None,
    now: float = 1002.0,
    **said: Any,
) -> str:
    """A vote of this rater, or of the local one, on a pair that they hold; returns its id."""
    ballot = Ballot("vote " + pair.lease_id, pair.lease_id, choice, **said)
    rater_id = store.raters.local(now=1.0) if rater is None else rater
    assert store.votes.record(ballot, rater_id=rater_id, now=now).saved
    return ballot.vote_id


def vote(
    store: Store,
    count: int,
    choice: str = "left",
    *,
    rater: int | None = None,
    now: float = 1002.0,
    **said: Any,
) -> list[str]:
    """Votes of this rater, or of the local one, on the next pairs; returns their ids."""
    leased = lease(store, count, rater=rater, now=now)
    assert len(leased) == count
    return [vote_on(store, pair, choice, rater=rater, now=now, **said) for pair in leased]


def undo(
    store: Store,
    name: str = "u",
    *,
    rater: int | None = None,
    holder: str = "tab",
    vote_id: str | None = None,
    now: float = 1003.0,
) -> Undone:
    """Take back this vote of this rater, or of the local one, or else the page's last one."""
    return store.votes.undo(
        undo_id=name,
        rater_id=store.raters.local(now=1.0) if rater is None else rater,
        holder=holder,
        seconds=60,
        now=now,
        vote_id=vote_id,
    )


def shown_to(store: Store, rater: int, rules: DueRules = RULES) -> dict[str, Any]:
    """What this rater sees of the loop beside the pair, just looked at."""
    shown = store.reports.shown_to_all(rules, now=0.0)
    return store.reports.page_of(rater, shown, rules, looked_at=math.inf)


def alarms(store: Store, now: float = 0.0) -> list[str]:
    """What is wrong; at time 0 nobody has been silent yet."""
    return store.reports.alarms(now=now, disk=None)


def open_update(store: Store, now: float = 1010.0, **changed: Any) -> int | None:
    return store.updates.open_if_due(replace(RULES, **changed), now=now)


def claim(store: Store, worker: str = "w", now: float = 1011.0, rules: DueRules = RULES) -> Claim:
    claimed = store.updates.claim(worker=worker, rules=rules.votes, now=now)
    assert claimed is not None
    return claimed


def version(number: int, finding: Finding = FINDING) -> NewVersion:
    return NewVersion(id=number, folder=f"v{number}", sha256="x", finding=finding)


def promote(
    store: Store,
    claimed: Claim,
    number: int,
    *,
    pairs: Sequence[NewPair] = (),
    finding: Finding = FINDING,
    now: float = 1020.0,
) -> None:
    """Make a version live that was trained on all of the claim's labels."""
    labels = [vote_id for label in claimed.labels for vote_id in label.vote_ids]
    store.updates.promote(claimed, version(number, finding), pairs, trained_on=labels, now=now)


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
