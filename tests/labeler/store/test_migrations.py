"""Databases of older versions, with rows in every table, are opened as if they were new ones."""

import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from labeler.domain.errors import BadInput
from labeler.domain.labels import VoteRules
from labeler.domain.rules import DueRules
from labeler.domain.states import LabelRole, UpdateState
from labeler.store import Store, open_store
from labeler.store.database import MIGRATIONS, Database
from labeler.store.learning.pruning import tidy
from labeler.store.live_version import versions_since
from labeler.store.records import Ballot
from labeler.store.tables import Update, UpdateLabel
from tests.support.store import live
from tests.support.store import rows as rows_of

# Version 1 came of update 1, the gate refused version 2, and update 3 is open. Of the pairs, 1 and
# 2 were voted on (2 twice: the first vote was undone), 3 was skipped, 4 is held, 5 was forgotten.
ROWS = """
INSERT INTO service (id, base, fingerprint) VALUES (1, 'base', 'print');
INSERT INTO policy_version (id, parent_id, state, folder, sha256, metrics, created_at, live_at)
    VALUES (0, NULL, 'retired', NULL, NULL, '{}', 1, 1),
    (1, 0, 'live', 'v0001', 'x', '{"labels": 1}', 2, 3),
    (2, 1, 'rejected', 'v0002', 'y', '{}', 4, NULL);
INSERT INTO prompt (id, messages, digest, pairs_sampled, set_aside, created_at)
    VALUES (1, '[{"role": "user", "content": "Tea?"}]', 'd', 5, NULL, 1),
    (2, '[{"role": "user", "content": "?"}]', 'e', 0, 'too long', 1);
INSERT INTO rater (id, name, role, created_at, disabled_at)
    VALUES (1, 'local', 'admin', 1, NULL), (2, 'second', 'rater', 1, 2);
INSERT INTO role_state (name, pid, says, beat_at, alarm) VALUES ('worker', 7, 'Hm.', 3, 'Ouch.');
INSERT INTO pair (id, prompt_id, version_id, state, votes_wanted, response_a, response_b,
    prompt_tokens, tokens_a, tokens_b, finish_a, finish_b, reference_logp_a, reference_logp_b,
    sampling, created_at) VALUES
    (1, 1, 0, 'labelled', 1, 'x', 'y', '[1]', '[2]', '[3]', 'stop', 'length', -1, -2, '{}', 1),
    (2, 1, 0, 'labelled', 1, 'x', 'y', '[1]', '[2]', '[3]', 'stop', 'stop', -1, -2, '{}', 1),
    (3, 1, 1, 'expired', 1, 'x', 'y', '[1]', '[2]', '[3]', 'stop', 'stop', -1, -2, '{}', 1),
    (4, 1, 1, 'ready', 2, 'x', 'y', '[1]', '[2]', '[3]', 'stop', 'stop', -1, -2, '{}', 1),
    (5, 1, 0, 'expired', 1, 'x', 'y', '[1]', '[2]', '[3]', 'stop', 'stop', -1, -2, '{}', 1);
INSERT INTO lease (id, pair_id, rater_id, holder, slot, shown_left, leased_at, expires_at, ended_at)
    VALUES ('l1', 1, 1, 'tab', 0, 'a', 1, 2, 2), ('l2', 2, 1, 'tab', 0, 'b', 1, 2, 2),
    ('l2 again', 2, 1, 'tab', 0, 'b', 1, 2, 3), ('l3', 3, 1, 'tab', 0, 'a', 1, 2, 2),
    ('l4', 4, 1, 'tab', 0, 'a', 1, 9, NULL), ('l5', 5, 2, 'tab', 0, 'a', 1, 2, 2);
INSERT INTO "update" (id, mode, state, opened_at, worker, attempt, heartbeat_at, steps_done,
    steps_total, version_id, metrics, reason, finished_at) VALUES
    (1, 'streaming', 'promoted', 1, 'w', 1, 2, 4, 4, 1, '{"labels": 1}', NULL, 3),
    (2, 'streaming', 'rejected', 4, 'w', 1, 4, 4, 4, 2, '{}', 'worse', 4),
    (3, 'streaming', 'open', 5, NULL, 0, NULL, 0, 0, NULL, '{}', NULL, NULL);
INSERT INTO vote (id, pair_id, rater_id, lease_id, choice, strength, shown_left, source, staleness,
    seconds, reasons, created_at, superseded_by, used_in_update) VALUES
    ('v1', 1, 1, 'l1', 'a', 2, 'a', 'human', 0, 1.5, '["true"]', 2, NULL, 1),
    ('v2', 2, 1, 'l2', 'a', 1, 'b', 'human', 0, NULL, '[]', 2, 'undo', NULL),
    ('v2 again', 2, 1, 'l2 again', 'tie', 1, 'b', 'human', 1, NULL, '[]', 3, NULL, NULL),
    ('v3', 3, 1, 'l3', 'skip', 1, 'a', 'human', 0, NULL, '[]', 2, NULL, NULL);
INSERT INTO update_label (update_id, vote_id) VALUES (1, 'v1'), (2, 'v2 again'), (3, 'v2 again');
"""
JUDGED = """
INSERT INTO verdict (id, pair_id, judge, probability, cause, requests, tokens, vote_id, created_at)
    VALUES (1, 1, 'j', 0.7, NULL, 2, 9, NULL, 2);
INSERT INTO tidied_verdicts (judge, cause, verdicts, requests, tokens) VALUES ('j', '', 3, 6, 27);
INSERT INTO run (id, judge, started_at, seconds, spent, ended_at, reason)
    VALUES (1, 'j', 1, 2, '{}', 3, 'done');
"""
LIVE_CHANGES = "INSERT INTO live_change (id, version_id, at) VALUES (1, 0, 1), (2, 1, 3)"
ROLES = "UPDATE update_label SET role = 'held_out' WHERE update_id = 3"
ACCOUNTS = """
INSERT INTO login (id, rater_id, created_at, expires_at) VALUES ('l', 1, 1, 2);
INSERT INTO failed_login (id, key, at) VALUES (1, 'k', 1);
INSERT INTO ask (id, rater_id, messages, state, done_tokens, most_tokens, tries, pair_id,
    created_at) VALUES ('a', 1, '[]', 'answered', 3, 8, 1, 5, 1),
    ('b', 2, '[]', 'waiting', 0, 0, 0, NULL, 2);
"""
FILLED = """
INSERT INTO filled_pair (id, update_id, prompt_id, version_id, first, second, target, weight)
    VALUES (1, 1, 1, 0, 'Long.', 'Short.', 0.75, 0.5);
"""
IMPORTED = """
INSERT INTO imported_pair (id, file, digest, messages, first, second, target, tie, weight,
    created_at) VALUES (1, 'f.jsonl', 'd', '[]', 'Long.', 'Short.', 0.75, 0.0, 1.0, 1);
"""
REVISIONS = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009"]
RENAMED = {("ask", "most_tokens"): "max_tokens"}
# No inspector can see an index on an expression, and two of them say so.
BLIND = pytest.mark.filterwarnings(
    "ignore:Skipped unsupported reflection of expression-based index one_open_update",
    "ignore:autogenerate skipping metadata-specified expression-based index 'one_open_update'",
)

FORBIDDEN = {
    "a second live version": "UPDATE policy_version SET state = 'live' WHERE id = 2",
    "a second hold on a slot": "INSERT INTO lease (id, pair_id, rater_id, holder, slot, shown_left,"
    " leased_at, expires_at) VALUES ('x', 4, 2, 'tab', 0, 'a', 1, 2)",
    "a second standing vote": "INSERT INTO vote (id, pair_id, rater_id, choice, strength,"
    " shown_left, source, staleness, reasons, created_at)"
    " VALUES ('x', 2, 1, 'a', 1, 'a', 'human', 0, '[]', 1)",
    "a second open update, whatever its mode": 'INSERT INTO "update" (mode, state, opened_at,'
    " attempt, steps_done,"
    " steps_total, metrics) VALUES ('iterative', 'open', 1, 0, 0, 0, '{}')",
    "a prompt twice": "INSERT INTO prompt (messages, digest, pairs_sampled, created_at)"
    " VALUES ('[]', 'd', 0, 1)",
    "a vote of a rater who is not there": "UPDATE vote SET rater_id = 9 WHERE id = 'v1'",
    "a vote without its pair": "DELETE FROM pair WHERE id = 3",
    "a vote without its lease": "DELETE FROM lease WHERE id = 'l2'",
    "a vote used by no update": "UPDATE vote SET used_in_update = 9 WHERE id = 'v1'",
    "a listed vote that is not there": "DELETE FROM vote WHERE id = 'v2 again'",
    "a pair of no version": "UPDATE pair SET version_id = 9 WHERE id = 1",
    "a version without its parent": "UPDATE policy_version SET parent_id = 9 WHERE id = 2",
    "a verdict on no pair": "INSERT INTO verdict (pair_id, judge, requests, tokens, created_at)"
    " VALUES (9, 'j', 0, 0, 1)",
    "a move to no version": "INSERT INTO live_change (version_id, at) VALUES (9, 1)",
}


def make_database(url: str, revision: str) -> dict[str, list[tuple[object, ...]]]:
    """A database as that version left it; returns its rows by table, with the names of columns."""
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        later = {"0001": "", "0002": f"{LIVE_CHANGES};{ROLES}"}
        later["0003"] = f"{later['0002']};{JUDGED}"
        later["0004"] = f"{later['0003']};{ACCOUNTS}"
        later["0005"] = later["0006"] = later["0004"].replace("most_tokens", "max_tokens")
        later["0007"] = later["0008"] = f"{later['0006']};{FILLED}"
        later["0009"] = f"{later['0008']};{IMPORTED}"
        for statement in (part for part in (ROWS + later[revision]).split(";") if part.strip()):
            connection.exec_driver_sql(statement)
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        found = {
            table: rows(connection, table, columns(connection, table))
            for table in sa.inspect(connection).get_table_names()
            if table != "alembic_version"
        }
    engine.dispose()
    return found


def columns(connection: sa.Connection, table: str) -> tuple[str, ...]:
    return tuple(column["name"] for column in sa.inspect(connection).get_columns(table))


def rows(connection: sa.Connection, table: str, names: tuple[str, ...]) -> list[tuple[object, ...]]:
    """The names of the columns, then the rows in these columns, sorted."""
    listed = ", ".join(f'"{name}"' for name in names)
    found = connection.exec_driver_sql(f'SELECT {listed} FROM "{table}"').all()
    return [names, *sorted((tuple(row) for row in found), key=repr)]


def as_now(table: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(RENAMED.get((table, name), name) for name in names)


def shape(connection: sa.Connection) -> dict[str, object]:
    """Indexes as SQL, and the foreign keys and columns of each table, as SQLite knows them."""
    inspector = sa.inspect(connection)
    indexes = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).all()
    found: dict[str, object] = {name: " ".join(sql.split()) for name, sql in indexes}
    for table in inspector.get_table_names():
        keys = connection.exec_driver_sql(f'PRAGMA foreign_key_list("{table}")').all()
        kinds = connection.exec_driver_sql(f'PRAGMA table_info("{table}")').all()
        found[table] = (
            sorted((key[2], key[3], key[4]) for key in keys),
            sorted((kind[1], kind[2], kind[3], kind[5]) for kind in kinds),
        )
    return found


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A new database like the old ones, which are SQLite files all."""
    return f"sqlite:///{tmp_path / 'test.sqlite'}"


@pytest.fixture
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of the revision that the test names, opened by this version."""
    file = tmp_path / "old.sqlite"
    file.write_bytes(opened_by_us(request.param))
    opened = Database(f"sqlite:///{file}")
    yield opened
    opened.close()


@cache
def opened_by_us(revision: str) -> bytes:
    """The file of a database of this revision, once this version has opened and closed it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "old.sqlite"
        make_database(f"sqlite:///{file}", revision)
        open_store(f"sqlite:///{file}").close()
        return file.read_bytes()


OPENED = pytest.mark.parametrize("old", REVISIONS, indirect=True)


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_row_is_there_as_it_was(tmp_path: Path, revision: str) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    before = make_database(url, revision)
    assert all(len(found) > 1 for found in before.values()), "a table has no row"
    open_store(url).close()
    with Database(url).read() as session:
        connection = session.connection()
        after = {
            table: [names, *rows(connection, table, as_now(table, names))[1:]]
            for table, (names, *_) in before.items()
        }
        assert after == before
        moves = connection.exec_driver_sql("SELECT version_id, at FROM live_change").all()
        assert [tuple(move) for move in moves] == [(0, 1.0), (1, 3.0)]


@BLIND
@OPENED
def test_indexes_foreign_keys_and_columns_are_those_of_a_new_database(
    old: Database, database: Database
) -> None:
    with old.read() as upgraded, database.read() as new:
        theirs, ours = upgraded.connection(), new.connection()
        assert shape(theirs) == shape(ours)
        assert compare_metadata(MigrationContext.configure(theirs), SQLModel.metadata) == []


@OPENED
def test_no_reference_dangles_and_the_file_is_sound(old: Database) -> None:
    with old.read() as session:
        connection = session.connection()
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


@OPENED
@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_must_not_be_is_refused_still(old: Database, what: str) -> None:
    with pytest.raises(IntegrityError), old.write() as session:
        session.execute(sa.text(FORBIDDEN[what]))


@pytest.mark.parametrize("old", REVISIONS[:1], indirect=True)
def test_what_the_first_version_did_not_write_down_is_what_it_meant(old: Database) -> None:
    """All labels were to train on, and the versions became live one after the other."""
    assert {row.role for row in rows_of(old, UpdateLabel)} == {LabelRole.TRAIN}
    with old.read() as session:
        assert [versions_since(session, number) for number in (0, 1)] == [1, 0]
    store = Store(old)
    store.versions.make_live_again(store.versions.find(None).id, now=9.0)
    assert live(store).id == 0


def test_a_database_of_another_version_is_not_opened_by_who_may_not_change_it(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    make_database(url, "0001")
    with pytest.raises(BadInput, match="another version"):
        open_store(url, create=False)


def test_of_two_open_updates_the_older_goes_on_and_the_labels_of_the_other_are_free(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    make_database(url, "0004")
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        connection.executescript(
            """
            INSERT INTO "update" (id, mode, state, opened_at, worker, attempt, steps_done,
                steps_total, metrics) VALUES (4, 'iterative', 'training', 6, 'w', 1, 0, 0, '{}');
            UPDATE pair SET state = 'labelled' WHERE id = 5;
            INSERT INTO vote (id, pair_id, rater_id, lease_id, choice, strength, shown_left,
                source, staleness, reasons, created_at)
                VALUES ('v5', 5, 2, 'l5', 'a', 1, 'a', 'human', 0, '[]', 2);
            INSERT INTO update_label (update_id, vote_id, role) VALUES (4, 'v5', 'train');
            """
        )
    connection.close()
    store = open_store(url)
    ended = [(row.id, row.state, row.reason) for row in rows_of(Database(url), Update)[1:]]
    assert ended == [
        (2, UpdateState.REJECTED, "worse"),
        (3, UpdateState.OPEN, None),
        (4, UpdateState.FAILED, "another update was open already"),
    ]
    # The older one has no label that says anything, so it is over; the next has the other's.
    assert store.updates.claim(worker="w", rules=VoteRules(), now=10.0) is None
    rules = DueRules(labels_per_update=1, max_staleness=9, cooldown_seconds=0)
    assert store.updates.open_if_due(rules, now=1e6) == 5
    claimed = store.updates.claim(worker="w", rules=VoteRules(), now=1e6)
    assert claimed is not None
    assert [label.vote_ids for label in claimed.labels + claimed.held_out] == [("v5",)]
    store.close()


@OPENED
def test_the_loop_goes_on_where_it_stopped(old: Database) -> None:
    store = Store(old)
    assert store.votes.record(Ballot("late", "l4", "left"), rater_id=1, now=10.0).saved
    with old.write() as session:
        session.execute(
            sa.text(
                "INSERT INTO vote (id, pair_id, rater_id, choice, strength, shown_left, source,"
                " staleness, reasons, created_at) VALUES ('j', 4, 2, 'a', 1, 'a', 'judge', 0,"
                " '[]', 1)"
            )
        )
    assert store.versions.prune(keep=1, now=20.0) == []
    assert tidy(old, now=1e9, max_expired=0) == 1
    status = store.reports.status(max_staleness=2)
    assert status["pairs"] == {"ready": 1, "leased": 0, "labelled": 2, "expired": 1}
    assert (status["labels"]["human"], status["labels"]["used"]) == (3, 1)
    assert status["updates"] == {"done": 1, "rejected": 1, "failed": 0, "running": 1}
    assert {row.vote.id for row in store.reports.votes()} == {
        "v1", "v2", "v2 again", "v3", "late", "j",
    }  # fmt: skip
