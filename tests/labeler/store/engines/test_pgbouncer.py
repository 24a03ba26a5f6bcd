"""Behind PgBouncer in transaction mode, where the next transaction may be on another connection."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from filelock import Timeout

from labeler.domain.states import RaterRole
from labeler.store import open_store
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Server
from tests.support.store import vote
from tests.support.tiny import fill


@pytest.fixture
def bounced(postgres: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a new database through PgBouncer, which has three connections to it."""
    with pgbouncer(postgres, f"bounced_{abs(hash(request.node.name))}") as url:
        yield url


def test_processes_that_start_at_once_on_an_empty_database_make_the_tables_once(
    bounced: str,
) -> None:
    with ThreadPoolExecutor() as threads:
        stores = list(threads.map(open_store, [bounced] * 5))  # two of them wait for a connection
    fill(stores[0], 2)
    assert [store.queue.ready() for store in stores] == [2] * 5
    for store in stores:
        store.close()


def test_tables_leases_votes_and_the_lock_of_the_worker_pass_through_it(bounced: str) -> None:
    with closing(open_store(bounced)) as store, closing(open_store(bounced)) as other:
        fill(store, 40)
        for number in range(4):
            store.raters.invite(f"rater {number}", RaterRole.RATER, now=1.0)
        raters = [each.id for each in store.raters.all()]
        held, wanted = store.worker_lock(), other.worker_lock()
        assert held is not None
        assert wanted is not None

        def rate(rater: int) -> list[str]:
            at = (store, other)[rater % 2]
            return [vote_id for _ in range(5) for vote_id in vote(at, 1, rater=rater)]

        with held, ThreadPoolExecutor() as threads:
            voted = [vote_id for ids in threads.map(rate, raters) for vote_id in ids]
            with pytest.raises(Timeout), wanted:
                pass
        votes = [each.vote for each in store.reports.votes()]
        assert sorted(each.id for each in votes) == sorted(voted)
        assert len({each.pair_id for each in votes}) == len(voted) == 5 * len(raters)
