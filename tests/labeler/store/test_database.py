"""The migrations, and the two context managers."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel, select

from labeler.errors import BadInput
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


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://h/db"])
def test_a_url_that_cannot_work_is_one_sentence(url: str) -> None:
    with pytest.raises(BadInput):
        open_store(url)
