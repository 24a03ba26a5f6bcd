"""Behind PgBouncer in transaction mode, where the next transaction may be on another connection."""

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from filelock import Timeout

from labeler.domain.states import RaterRole
from labeler.store import open_store
from tests.support.patience import wait_until
from tests.support.postgres import Server
from tests.support.store import vote
from tests.support.tiny import fill

BOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
PORT = 6432  # of a socket in a folder of its own
SETTINGS = """
[databases]
* = user=postgres host={folder}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = 3
"""


@pytest.fixture
def bounced(postgres: Server) -> Iterator[str]:
    """The URL of a new database through PgBouncer, which has three connections to it."""
    if BOUNCER is None:
        pytest.skip("PgBouncer is not installed")
    postgres.execute("CREATE DATABASE bounced")
    file = postgres.folder / "pgbouncer.ini"
    file.write_text(SETTINGS.format(folder=postgres.folder, port=PORT))
    program = subprocess.Popen(
        [BOUNCER, "-q", file], user=postgres.user, stderr=subprocess.DEVNULL, cwd=postgres.folder
    )
    where = f"host={postgres.folder} port={PORT}"

    def answers() -> bool:
        try:
            psycopg.connect(f"{where} user=postgres dbname=bounced").close()
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_until(answers)
        yield f"postgresql+psycopg://postgres@/bounced?host={postgres.folder}&port={PORT}"
    finally:
        program.terminate()
        program.wait()


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
