"""Each of the verbs that run all the time finds its rows by an index, on PostgreSQL."""

from contextlib import closing

from labeler.store import open_store
from labeler.store.database import Database
from tests.support.busy import fill_busy
from tests.support.frequent import frequent
from tests.support.plans import plans_of
from tests.support.postgres import Server

NOW = 1_700_000_000.0


def test_no_frequent_verb_lacks_an_index(postgres: Server) -> None:
    url = postgres.new_database()
    with closing(open_store(url)) as store, closing(Database(url)) as database:
        store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
        fill_busy(database, votes=40, now=NOW)
        with database.write() as session:
            database.number_on(session.connection())
        rater = store.raters.local(now=1.0)
        scanned = {
            name: [plan for plan in plans_of(url, verb, scans=False) if plan.scanned]
            for name, verb in frequent(store, rater, NOW + 60).items()
        }
    assert {name: plans for name, plans in scanned.items() if plans} == {}
