"""The migrations, and the two context managers."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from labeler.domain.errors import BadInput
from labeler.store import Store, open_store
from labeler.store.database import Database
from labeler.store.tables import Prompt
from tests.labeler.store.test_migrations import BLIND
from tests.support.store import rows
from tests.support.tiny import fill


@BLIND
def test_the_migrations_make_exactly_the_tables_that_the_code_declares(
    database: Database,
) -> None:
    with database.read() as session:
        context = MigrationContext.configure(session.connection())
        differences = compare_metadata(context, SQLModel.metadata)
    assert differences == []


def test_a_database_is_opened_again_with_what_was_in_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    fill(open_store(url), 3)
    assert open_store(url).queue.ready() == 3


def test_an_exception_rolls_everything_back(database: Database) -> None:
    def write_and_break() -> None:
        with database.write() as session:
            session.add(Prompt(messages=[], digest="x", created_at=1.0))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_break()
    assert rows(database, Prompt) == []


def test_states_are_stored_by_value(store: Store, database: Database) -> None:
    fill(store, 1)
    with database.read() as session:
        stored = session.execute(sa.text("SELECT state FROM pair")).scalars().all()
    assert stored == ["ready"]


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://h/db"])
def test_a_url_that_cannot_work_is_one_sentence(url: str) -> None:
    with pytest.raises(BadInput):
        open_store(url)
