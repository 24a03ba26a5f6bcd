"""What is true of PostgreSQL alone: its server, its locks, its passwords, its text."""

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from filelock import Timeout

from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.finding import Finding
from labeler.store import Store, open_store
from labeler.store.database import Database
from labeler.store.rating.locks import lock_pairs, lock_rater
from labeler.store.records import Ballot
from labeler.store.tables import Lease, Run
from tests.support.command import fails, livedpo
from tests.support.patience import wait_until
from tests.support.postgres import GUARDED, Server
from tests.support.store import lease, vote
from tests.support.store import rows as rows_of
from tests.support.tiny import fill

SECRET = "a:secret/b"


@pytest.fixture
def url(postgres: Server) -> str:
    return postgres.new_database()


@pytest.fixture
def empty(postgres: Server, request: pytest.FixtureRequest) -> str:
    """A database without tables."""
    name = f"empty_{abs(hash(request.node.name))}"
    postgres.execute(f"CREATE DATABASE {name}")
    return postgres.url(name)


def test_processes_that_start_at_once_on_an_empty_database_make_the_tables_once(empty: str) -> None:
    with ThreadPoolExecutor() as threads:
        stores = list(threads.map(open_store, [empty] * 4))
    fill(stores[0], 2)
    assert [store.queue.ready() for store in stores] == [2] * 4
    for store in stores:
        store.close()


def test_an_empty_database_is_one_sentence_for_who_only_looks(empty: str) -> None:
    fails(livedpo("status", "--database", empty), 2, "livedpo serve")


def test_a_database_of_another_program_or_of_a_newer_version_is_refused(
    postgres: Server, empty: str, url: str
) -> None:
    postgres.execute("CREATE TABLE prompt (recipe TEXT)", empty.split("@/")[1].split("?")[0])
    fails(livedpo("raters", "list", "--database", empty), 2, "another version")
    with pytest.raises(BadInput, match="another program"):
        open_store(empty)
    number = "UPDATE alembic_version SET version_num = '9999'"
    postgres.execute(number, url.split("@/")[1].split("?")[0])
    fails(livedpo("status", "--database", url), 2, "another version")
    with pytest.raises(BadInput, match="another version"):
        open_store(url)


@pytest.mark.parametrize(
    ("user", "place", "says"),
    [
        ("postgres", "@/{name}?host=/nowhere", "No such file"),
        ("postgres", "@127.0.0.1:1/{name}", "refused"),
        ("postgres", "@/nothing?host={folder}", '"nothing" does not exist'),
        (GUARDED, "@/{name}?host={folder}", "password authentication failed"),
        ("postgres", "@/?host={folder}", "names no database"),
        ("postgres", "@h:port/{name}", "not a database URL"),
        ("postgres", "@c/d@h/{name}", "%40"),
    ],
)
def test_a_url_that_leads_nowhere_is_one_sentence_without_its_password(
    postgres: Server, url: str, user: str, place: str, says: str
) -> None:
    name = url.split("@/")[1].split("?")[0]
    if user == GUARDED:
        postgres.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD 'another'")
    rest = place.format(name=name, folder=postgres.folder)
    ran = livedpo(
        "status", "--json", LIVEDPO_DATABASE=f"postgresql+psycopg://{user}:{SECRET}{rest}"
    )
    fails(ran, 2, says)
    assert "secret" not in ran.stderr
    assert f"{user}:***@" in ran.stderr


def test_a_driver_that_is_missing_is_one_sentence_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BadInput, match=r"pip install 'livedpo\[postgres\]'"):
        open_store("postgresql://somebody@somewhere/something")
    with pytest.raises(BadInput, match="'postgresql\\+asyncpg' is not supported"):
        open_store("postgresql+asyncpg://somebody@somewhere/something")


def test_the_url_may_stand_in_a_file(url: str, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"{url}\nAnd a remark.\n")
    fill(open_store(url), 2)
    assert "2 ready" in livedpo("status", "--database-file", file).stdout
    fails(livedpo("status", "--database-file", tmp_path / "none"), 2, "cannot be read")
    file.write_text("\n")
    fails(livedpo("status", "--database-file", file), 2, "is empty")


def test_one_process_can_hold_the_lock_of_a_database(url: str) -> None:
    one, other = open_store(url), open_store(url)
    held, wanted, again = one.worker_lock(), other.worker_lock(), other.worker_lock()
    assert held is not None
    assert wanted is not None
    assert again is not None
    with held, pytest.raises(Timeout), wanted:
        pass
    with again:
        vote(fill_and(one), 1)
    one.close()
    other.close()


def fill_and(store: Store) -> Store:
    """The store, with two pairs."""
    fill(store, 2)
    return store


def test_a_service_goes_on_after_its_server_has_ended_all_connections(
    postgres: Server, store: Store
) -> None:
    fill(store, 2)
    vote(store, 1)
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname <> ''"
        " AND pid <> pg_backend_pid()"
    )
    vote(store, 1)
    assert len(store.reports.votes()) == 2


def test_a_connection_that_is_lost_in_a_transaction_is_one_sentence_and_nothing_is_kept(
    postgres: Server, store: Store, database: Database
) -> None:
    def lose() -> None:
        with database.write() as session:
            session.add(Run(judge="starter", started_at=1.0))
            session.flush()
            postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE state = 'idle in transaction'"
            )
            session.execute(sa.text("SELECT 1"))

    with pytest.raises(LivedpoError, match="cannot be opened") as error:
        lose()
    assert not isinstance(error.value, BadInput)
    assert rows_of(database, Run) == []


def test_the_mark_changes_with_every_commit_of_another_process(store: Store, url: str) -> None:
    marks, other = [store.change_mark()], open_store(url)
    for number in range(3):
        other.processes.say("web", f"{number}", pid=1, now=1.0)
        marks.append(store.change_mark())
    other.close()
    assert len(set(marks)) == 4


def test_text_with_a_nul_loses_no_vote(store: Store) -> None:
    fill(store, 1)
    [pair] = lease(store)
    ballot = Ballot(
        "v", pair.lease_id, "left", reasons=["a\x00b", "\ud83d"], comment="nothing\x00 at all"
    )
    assert store.votes.record(ballot, rater_id=store.raters.local(now=1.0), now=1002.0).saved
    [row] = store.reports.votes()
    assert row.vote.comment == "nothing\u2400 at all"
    assert row.vote.reasons == ["a\x00b", "\ud83d"]


def test_a_figure_that_is_no_number_loses_no_finding(store: Store) -> None:
    fill(store, 1)
    made = Finding(labels=4, loss_last=math.nan)
    number = store.versions.add_candidate(folder="v", sha256="x", finding=made, parent=0, now=2.0)
    assert store.versions.get(number).finding == Finding(labels=4)


def test_a_backup_names_the_tool_of_the_server(url: str, tmp_path: Path) -> None:
    open_store(url).close()
    fails(livedpo("backup", tmp_path / "x.zip", "--database", url), 2, "pg_dump")
    assert not (tmp_path / "x.zip").exists()


def test_a_number_that_no_column_can_hold_is_wrong_use(store: Store) -> None:
    with pytest.raises(BadInput, match="smaller"):
        store.gold.remove(2**40, now=1.0)


def test_a_page_passes_by_a_pair_that_another_page_gets_at_this_moment(
    store: Store, database: Database
) -> None:
    fill(store, 2)
    rater = store.raters.local(now=1.0)
    with database.write(alone=False) as other:
        lock_pairs(other, [1])
        assert len(lease(store, 2, rater=rater)) == 1
    assert [held.pair_id for held in rows_of(database, Lease)] == [2]


def test_what_must_be_alone_waits_for_those_that_write_beside_each_other(
    store: Store, database: Database
) -> None:
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with ThreadPoolExecutor() as threads:
        with database.write(alone=False) as session:
            lock_rater(session, 1)  # only now does it begin
            said = threads.submit(store.processes.say, "web", "Serving.", pid=1, now=1.0)
            wait_until(lambda: session.execute(waiting).scalar_one() == 1)
            assert not said.done()
        said.result()
    assert [each.says for each in store.processes.all()] == ["Serving."]
