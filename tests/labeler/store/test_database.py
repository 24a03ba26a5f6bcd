"""The migrations, and the two context managers."""

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel, select

from labeler.config import Settings
from labeler.errors import BadInput, LivedpoError
from labeler.store import Store, open_store
from labeler.tables import Prompt
from tests.tiny import fill


def test_the_migrations_make_exactly_the_tables_that_the_code_declares(store: Store) -> None:
    with store._database._engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    assert differences == []


def test_a_database_is_opened_again_with_what_was_in_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    fill(open_store(url), 3)
    assert open_store(url).queue.ready() == 3


def test_an_exception_rolls_everything_back(store: Store) -> None:
    def write_and_break() -> None:
        with store._database.write() as session:
            session.add(Prompt(messages=[], digest="x", created_at=1.0))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_break()
    with store._database.read() as session:
        assert session.exec(select(Prompt)).first() is None


def test_sqlite_runs_in_wal_with_full_sync_and_foreign_keys(store: Store) -> None:
    with store._database.read() as session:
        settings = [
            session.execute(sa.text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]


def test_states_are_stored_by_value(store: Store) -> None:
    fill(store, 1)
    with store._database.read() as session:
        stored = session.execute(sa.text("SELECT state FROM pair")).scalars().all()
    assert stored == ["ready"]


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
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


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://h/db"])
def test_a_url_that_cannot_work_is_one_sentence(url: str) -> None:
    with pytest.raises(BadInput):
        open_store(url)
