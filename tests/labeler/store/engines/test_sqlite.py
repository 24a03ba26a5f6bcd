"""What is true of SQLite alone: its file, its folder, its journal."""

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from filelock import FileLock, Timeout

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.store import Store, open_store
from labeler.store.database import Database
from labeler.store.engines import sqlite
from labeler.store.learning.pruning import tidy
from labeler.store.tables import Pair
from tests.labeler.store.learning.test_pruning import NOW, expire
from tests.support.quick_databases import prepare_as_ever
from tests.support.store import rows, vote
from tests.support.tiny import add_pairs, fill


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'test.sqlite'}"


def test_it_runs_in_wal_with_full_sync_and_foreign_keys(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    del store  # which has made it
    monkeypatch.setattr(sqlite, "_prepare_connection", prepare_as_ever)
    with contextlib.closing(Database(url)) as database, database.read() as session:
        settings = [
            session.execute(sa.text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]


def test_a_database_that_another_program_holds_is_one_sentence(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0)
    store = open_store(url)
    with contextlib.closing(sqlite3.connect(tmp_path / "test.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LivedpoError, match=r"is busy: another program .*backup"):
            store.processes.say("web", "Serving.", pid=1, now=1.0)
    store.processes.say("web", "Serving.", pid=1, now=1.0)


def test_a_database_that_another_process_brings_up_to_date_for_long_is_one_sentence(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0)
    with (
        FileLock(tmp_path / "test.sqlite.migrate.lock"),
        pytest.raises(LivedpoError, match="brought up to date by another process; try again"),
    ):
        open_store(url)
    open_store(url).close()


def test_one_process_can_hold_the_lock_of_a_database_by_whatever_path_it_came(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    one, other = open_store(url), open_store(f"sqlite:///{tmp_path}/link/test.sqlite")
    held, wanted = one.worker_lock(), other.worker_lock()
    assert held is not None
    assert wanted is not None
    with held, pytest.raises(Timeout), wanted:
        pass
    again = other.worker_lock()
    assert again is not None
    with again:
        pass


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE prompt (recipe TEXT)")
        theirs.commit()
    before = path.read_bytes()
    with pytest.raises(BadInput, match="another program"):
        open_store(f"sqlite:///{path}")
    with pytest.raises(BadInput):
        open_store(f"sqlite:///{path}", create=False)
    assert path.read_bytes() == before


def test_a_data_dir_may_have_any_name(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "what?x=1%20#ü")
    fill(open_store(settings.database_url), 1)
    assert (settings.data_dir / "livedpo.sqlite").is_file()


def test_a_folder_that_nobody_may_write_to_can_still_be_read(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_store(url)
    fill(writer, 2)
    writer.close()
    real = os.access  # root may write anywhere
    ours = str(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != ours and real(path, mode))
    reader = open_store(url, create=False)
    assert reader.queue.ready() == 2
    with pytest.raises(LivedpoError, match="read-only"):
        fill(reader, 1)


def test_the_file_stays_as_large_as_it_was_while_pairs_come_and_go(
    store: Store, database: Database
) -> None:
    def pages() -> tuple[int, int]:
        with database.read() as session:
            count, free = (
                session.execute(sa.text(f"PRAGMA {name}")).scalar_one()
                for name in ("page_count", "freelist_count")
            )
        return count, free

    fill(store, 40)
    sizes = []
    for turn in range(12):
        add_pairs(store, 40)
        expire(database)
        tidy(database, now=NOW + turn, max_expired=40)
        sizes.append(pages()[0])
    assert max(sizes[3:]) <= sizes[2] + 2
    assert len(rows(database, Pair)) == 40


def test_the_log_beside_the_file_is_cut_so_that_the_file_alone_has_all(
    url: str, tmp_path: Path
) -> None:
    store = open_store(url)
    fill(store, 4)
    vote(store, 3)
    file, log = tmp_path / "test.sqlite", tmp_path / "test.sqlite-wal"
    assert log.stat().st_size > 0
    store.checkpoint()
    assert log.stat().st_size == 0
    (tmp_path / "copy.sqlite").write_bytes(file.read_bytes())
    store.close()
    copy = open_store(f"sqlite:///{tmp_path / 'copy.sqlite'}", create=False)
    assert len(copy.reports.votes()) == 3
    copy.close()


def test_the_log_is_cut_as_far_as_nobody_reads_it_and_nobody_waits_long(
    url: str, tmp_path: Path
) -> None:
    store = open_store(url)
    fill(store, 4)
    with contextlib.closing(sqlite3.connect(tmp_path / "test.sqlite")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM vote").fetchone()
        vote(store, 2)
        store.checkpoint()
        assert (tmp_path / "test.sqlite-wal").stat().st_size > 0
    store.checkpoint()
    assert (tmp_path / "test.sqlite-wal").stat().st_size == 0
    vote(store, 1)
    store.close()
