"""The migrations, and the two context managers."""

import contextlib
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from labeler.domain.errors import BadInput
from labeler.domain.states import LabelRole
from labeler.store import Store, open_store
from labeler.store.database import MIGRATIONS, Database
from labeler.store.live_version import versions_since
from labeler.store.tables import Prompt, UpdateLabel
from tests.labeler.store.test_migrations import BLIND
from tests.support.store import rows
from tests.support.tiny import fill

OLD_ROWS = """
INSERT INTO policy_version (id, parent_id, state, metrics, created_at, live_at) VALUES
    (0, NULL, 'retired', '{}', 1, 1), (1, 0, 'retired', '{}', 2, 3), (2, 1, 'live', '{}', 4, 5);
INSERT INTO prompt (id, messages, digest, pairs_sampled, created_at) VALUES (1, '[]', 'd', 1, 1);
INSERT INTO rater (id, name, role, created_at) VALUES (1, 'local', 'admin', 1);
INSERT INTO pair (id, prompt_id, version_id, state, votes_wanted, response_a, response_b,
    prompt_tokens, tokens_a, tokens_b, finish_a, finish_b, reference_logp_a, reference_logp_b,
    sampling, created_at)
    VALUES (1, 1, 0, 'labelled', 1, 'x', 'y', '[]', '[]', '[]', 'stop', 'stop', 0, 0, '{}', 1);
INSERT INTO lease (id, pair_id, rater_id, holder, slot, shown_left, leased_at, expires_at, ended_at)
    VALUES ('l', 1, 1, 'tab', 0, 'a', 1, 2, 2);
INSERT INTO "update" (id, mode, state, opened_at, attempt, steps_done, steps_total, metrics,
    finished_at) VALUES (1, 'streaming', 'promoted', 1, 1, 1, 1, '{}', 3);
INSERT INTO vote (id, pair_id, rater_id, lease_id, choice, strength, shown_left, source, staleness,
    reasons, created_at, used_in_update)
    VALUES ('v', 1, 1, 'l', 'a', 1, 'a', 'human', 0, '[]', 2, 1);
INSERT INTO update_label (update_id, vote_id) VALUES (1, 'v');
"""


def make_old_database(url: str) -> None:
    """A database as migration 0001 left it, with two updates behind it."""
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in OLD_ROWS.split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


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


def test_a_database_of_the_first_version_opens_with_its_labels_and_versions(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    make_old_database(url)
    with pytest.raises(BadInput, match="another version"):
        open_store(url, create=False)
    with contextlib.closing(open_store(url)) as store:
        assert store.reports.status(max_staleness=2)["labels"]["used"] == 1
        database = Database(url)
        assert [row.role for row in rows(database, UpdateLabel)] == [LabelRole.TRAIN]
        with database.read() as session:
            assert [versions_since(session, number) for number in range(3)] == [2, 1, 0]
        store.versions.make_live_again(store.versions.find(None).id, now=9.0)
        live = store.versions.live()
        assert live is not None
        assert live.id == 1


@BLIND
def test_an_upgraded_database_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    make_old_database(url)
    open_store(url).close()
    with Database(url).read() as session:
        context = MigrationContext.configure(session.connection())
        assert compare_metadata(context, SQLModel.metadata) == []


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
