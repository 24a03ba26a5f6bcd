"""`livedpo migrate`: all rows from SQLite to PostgreSQL, and back."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from labeler.domain.errors import LivedpoError
from labeler.store import Store, open_store
from labeler.store.database import Database
from labeler.store.moving import move_rows
from tests.support.busy import fill_busy
from tests.support.command import fails, livedpo
from tests.support.empty_store import new_store
from tests.support.postgres import Server
from tests.support.store import lease, undo, vote
from tests.support.tiny import add_pairs, fill

NOW = 10_000.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'from.sqlite'}"


@pytest.fixture
def there(postgres: Server) -> str:
    """The URL of a database of the server, empty but for its tables."""
    return postgres.new_database()


@contextmanager
def while_copying(table: str, do: Callable[[], object]) -> Iterator[None]:
    """Do it once, before the first rows of the table go to the new database."""
    left = [do]

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if left and statement.startswith(f"INSERT INTO {table} "):
            left.pop()()

    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", before)
    assert not left


def everything(url: str) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with closing(Database(url)) as database, database.read() as session:
        return {
            table.name: sorted(map(repr, session.execute(sa.select(table))))
            for table in SQLModel.metadata.sorted_tables
        }


def test_rows_go_to_the_other_kind_of_database_and_come_back_the_same(
    url: str, there: str, tmp_path: Path
) -> None:
    store = new_store(url)
    store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    with closing(Database(url)) as database:
        fill_busy(database, votes=40, now=1_700_000_000.0)
    store.close()
    back = f"sqlite:///{tmp_path / 'back.sqlite'}"
    moved = livedpo("migrate", url, there)
    assert (moved.returncode, moved.stderr) == (0, "")
    assert "40 votes" in moved.stdout
    assert livedpo("migrate", there, back).returncode == 0
    assert everything(back) == everything(there) == everything(url)


def test_new_rows_are_numbered_after_those_that_were_moved(url: str, there: str) -> None:
    store = new_store(url)
    fill(store, 3)
    vote(store, 2)
    store.close()
    assert livedpo("migrate", url, there).returncode == 0
    with closing(open_store(there)) as moved:
        add_pairs(moved, 2)
        vote(moved, 3)
        assert len(moved.reports.votes()) == 5


def test_text_that_only_one_of_them_can_hold_is_moved_as_the_other_shows_it(
    url: str, there: str
) -> None:
    store = new_store(url)
    fill(store, 1)
    store.close()
    with closing(Database(url)) as database, database.write() as session:
        session.execute(sa.text("UPDATE pair SET response_a = 'x' || char(0) || 'y'"))
    assert livedpo("migrate", url, there).returncode == 0
    with closing(open_store(there)) as moved:
        [pair] = lease(moved)
    assert "x\u2400y" in (pair.left, pair.right)


def test_a_database_that_has_something_in_it_is_refused_and_left_alone(
    url: str, there: str
) -> None:
    for each in (url, there):
        store = open_store(each)
        fill(store, 2)
        store.close()
    before = everything(there)
    fails(livedpo("migrate", url, there), 2, "is not empty")
    assert everything(there) == before


def test_a_move_that_fails_leaves_nothing_and_can_be_done_again(
    url: str, there: str, tmp_path: Path
) -> None:
    store = new_store(url)
    fill(store, 2)
    store.close()
    file = tmp_path / "from.sqlite"
    with closing(sqlite3.connect(file)) as unchecked:
        unchecked.execute("UPDATE pair SET version_id = 99 WHERE id = 2")
        unchecked.commit()
    fails(livedpo("migrate", url, there), 1, "'pair'")
    assert not any(everything(there).values())
    with closing(sqlite3.connect(file)) as unchecked:
        unchecked.execute("UPDATE pair SET version_id = 0 WHERE id = 2")
        unchecked.commit()
    assert livedpo("migrate", url, there).returncode == 0


def test_a_database_that_a_worker_uses_is_not_moved(url: str, there: str) -> None:
    store = new_store(url)
    held = store.worker_lock()
    assert held is not None
    with held:
        fails(livedpo("migrate", url, there), 1, "stop the service")
    store.close()


@pytest.mark.parametrize("process", ["web", "scheduler web1:2", "trainer gpu1:3"])
def test_a_database_that_a_process_was_heard_in_is_not_moved(
    url: str, tmp_path: Path, process: str
) -> None:
    target = f"sqlite:///{tmp_path / 'to.sqlite'}"
    with closing(new_store(url)) as store:
        fill(store, 1)
        store.processes.say("sampler web1:1", "Sampling pairs.", pid=1, now=NOW - 31.0)
        store.processes.say(process, "Busy.", pid=2, now=NOW - 29.0)
        with pytest.raises(LivedpoError, match=f"signs of life of {process} are"):
            move_rows(url, target, now=NOW, quiet=True)
        assert not any(everything(target).values())
        store.processes.leave(process, now=NOW)
    assert move_rows(url, target, now=NOW, quiet=True)["pair"] == 1


@pytest.mark.parametrize("verb", [lambda store: vote(store, 1), undo], ids=["vote", "undo"])
def test_what_changes_during_the_copy_is_not_left_behind(
    url: str, tmp_path: Path, verb: Callable[[Store], object]
) -> None:
    target = f"sqlite:///{tmp_path / 'to.sqlite'}"
    with closing(new_store(url)) as store:
        fill(store, 4)
        vote(store, 2)
        with (
            while_copying("vote", lambda: verb(store)),
            pytest.raises(LivedpoError, match="has changed meanwhile"),
        ):
            move_rows(url, target, now=NOW, quiet=True)
        assert not any(everything(target).values())
    move_rows(url, target, now=NOW, quiet=True)
    assert everything(target) == everything(url)


def test_there_must_be_something_to_move(there: str, tmp_path: Path) -> None:
    fails(livedpo("migrate", f"sqlite:///{tmp_path}/none.sqlite", there), 2, "no database")
