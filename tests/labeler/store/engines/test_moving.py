"""`livedpo migrate`: all rows from SQLite to PostgreSQL, and back."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from labeler.store import open_store
from labeler.store.database import Database
from tests.support.busy import fill_busy
from tests.support.command import fails, livedpo
from tests.support.empty_store import new_store
from tests.support.postgres import Server
from tests.support.store import lease, vote
from tests.support.tiny import add_pairs, fill


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'from.sqlite'}"


@pytest.fixture
def there(postgres: Server) -> str:
    """The URL of a database of the server, empty but for its tables."""
    return postgres.new_database()


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


def test_there_must_be_something_to_move(there: str, tmp_path: Path) -> None:
    fails(livedpo("migrate", f"sqlite:///{tmp_path}/none.sqlite", there), 2, "no database")
