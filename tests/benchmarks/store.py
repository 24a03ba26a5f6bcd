"""Leases and votes a second on SQLite and PostgreSQL: `python -m tests.benchmarks.store`.

A client is a thread with a rater of its own, who takes a pair and votes on it, without a break. The
clients share some processes, as raters share web processes. Both databases write through to the
disk. "processor" is what a vote takes of one, which does not depend on what else the machine does.
The tables hold `--rows` votes before, and as many pairs and leases; `--rows 1000000` is what
some hundred raters leave in a year. The plans of the most frequent verbs on PostgreSQL come last.
"""

import argparse
import math
import multiprocessing
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import sqlalchemy as sa
from sqlmodel import SQLModel

from labeler.domain.states import RaterRole
from labeler.store import open_store
from labeler.store.database import Database
from tests.support.busy import fill_busy
from tests.support.frequent import frequent, lease_and_vote
from tests.support.plans import plans_of
from tests.support.postgres import Server
from tests.support.tiny import add_pairs

NOW = 1_700_000_000.0
BLOCK = 2_000  # votes that are made one by one; all are doubled then, again and again
# The columns that refer to something, by what is added for each copy.
NUMBERS = {"id", "pair_id", "source_pair_id"}
NAMES = {"id", "lease_id", "vote_id", "superseded_by", "digest", "holder"}
COPIED = ("prompt", "pair", "lease", "vote", "verdict", "update_label")
ON_DISK = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on"}


def seed(url: str, rows: int) -> None:
    """So many votes, each with its pair and mostly its lease."""
    with closing(open_store(url)) as store:
        store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    with closing(Database(url)) as database:
        fill_busy(database, votes=min(rows, BLOCK), now=NOW)
        with database.write() as session:
            if url.startswith("sqlite"):  # indexes of names in no order are written all over
                session.execute(sa.text("PRAGMA cache_size = -1000000"))
            for times in range(math.ceil(math.log2(max(1, rows / BLOCK)))):
                for name in COPIED:
                    session.execute(_doubled(SQLModel.metadata.tables[name], 2 * BLOCK << times))
            database.number_on(session.connection())
            session.execute(sa.text("ANALYZE"))


def _doubled(table: sa.Table, shift: int) -> sa.Insert:
    """Insert all rows once more, under other numbers and names."""

    def value(column: sa.Column[object]) -> sa.ColumnElement[object]:
        is_number = isinstance(column.type, sa.Integer)
        if is_number and column.name in NUMBERS:
            return sa.type_coerce(column, sa.Integer) + shift
        if not is_number and column.name in NAMES:
            return sa.type_coerce(column, sa.String) + f" {shift}"
        if column.name == "used_in_update":  # only the newest labels wait
            return sa.func.coalesce(column, 1)
        return sa.literal("labelled") if column is table.c.get("state") else column

    block = sa.select(*map(value, table.columns))
    return sa.insert(table).from_select(list(table.columns), block)


def prepare(url: str, clients: int, votes: int) -> list[int]:
    """Raters, and a pair for each of the votes; the numbers of the raters."""
    with closing(open_store(url)) as store:
        known = len(store.raters.all())
        for number in range(clients):
            store.raters.invite(f"client {known + number}", RaterRole.RATER, now=NOW)
        live = store.versions.live()
        assert live is not None
        prompts, missing = len(store.prompts.all()), votes + 2 * clients
        while missing > 0:
            add_pairs(store, min(prompts, missing), version=live.id)
            missing -= prompts
        return [each.id for each in store.raters.all()][-clients:]


def rate(url: str, raters: list[int], votes: int, start: object, results: object) -> None:
    """One process: a thread for each rater; how long each lease with its vote took, and how much
    of a processor all of them.
    """
    taken: list[float] = []

    def client(rater: int) -> None:
        rng = random.Random(rater)
        start.wait()  # type: ignore[attr-defined]
        for _ in range(votes):
            began = time.perf_counter()
            lease_and_vote(store, rater, f"page {rater}", NOW + 60, rng)
            taken.append(time.perf_counter() - began)

    with closing(open_store(url)) as store:
        before = time.process_time()
        threads = [threading.Thread(target=client, args=(rater,)) for rater in raters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    results.put((taken, time.process_time() - before))  # type: ignore[attr-defined]


class Measured(NamedTuple):
    """Leases with their vote a second; of one in seconds the median, the 95th percentile, and what
    it takes of a processor, at clients and server together.
    """

    speed: float
    median: float
    p95: float
    processor: float


def measure(url: str, clients: int, votes: int, processes: int, server: Server | None) -> Measured:
    """So many clients, who give so many votes together."""
    raters = prepare(url, clients, votes)
    shares = [raters[part::processes] for part in range(min(processes, clients))]
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(clients + 1), context.Queue()
    each = max(1, votes // clients)
    jobs = [
        context.Process(target=rate, args=(url, share, each, start, results)) for share in shares
    ]
    for job in jobs:
        job.start()
    start.wait()
    began, spent = time.perf_counter(), -server_seconds(server)
    taken: list[float] = []
    for _ in jobs:
        more, seconds = results.get()
        taken, spent = taken + more, spent + seconds
    passed = time.perf_counter() - began
    for job in jobs:
        job.join()
    spent, taken = spent + server_seconds(server), sorted(taken)
    p95 = taken[int(0.95 * (len(taken) - 1))]
    return Measured(len(taken) / passed, statistics.median(taken), p95, spent / len(taken))


def server_seconds(server: Server | None) -> float:
    """What a server has taken of a processor so far, those of its processes that ended, too."""
    if server is None:
        return 0.0
    first = psutil.Process(int((server.folder / "data" / "postmaster.pid").read_text().split()[0]))
    times = [each.cpu_times() for each in (first, *first.children())]
    ended = times[0].children_user + times[0].children_system
    return ended + sum(each.user + each.system for each in times)


def show_plans(url: str) -> set[str]:
    """Print how each of the frequent verbs is done; the growing tables that are read whole."""
    scanned: set[str] = set()
    [rater] = prepare(url, 1, 4)
    with closing(open_store(url)) as store:
        for name, verb in frequent(store, rater, NOW + 60).items():
            plans = plans_of(url, verb)
            found = set().union(*(plan.scanned for plan in plans))
            print(f"{name:22} {len(plans):3} statements; read whole: {', '.join(found) or 'none'}")
            for plan in plans:
                if plan.scanned:
                    print("   ", plan.statement.replace("\n", " "))
                    print("      " + "\n      ".join(plan.steps))
            scanned |= found
    return scanned


@contextmanager
def databases(folder: Path, names: list[str]) -> Iterator[dict[str, tuple[str, Server | None]]]:
    """A new one of each kind: its URL, and its server if it has one."""
    found: dict[str, tuple[str, Server | None]] = {
        "sqlite": (f"sqlite:///{folder}/store.sqlite", None)
    }
    server = Server(**ON_DISK) if "postgres" in names else None
    if server is not None:
        found["postgres"] = server.url(), server
    try:
        yield {name: found[name] for name in names}
    finally:
        if server is not None:
            server.stop()


def main() -> int:
    """The command line; the exit code is 1 if a frequent verb reads a growing table whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--votes", type=int, default=1_000, help="in each run")
    parser.add_argument("--processes", type=int, default=2, help="that share the clients")
    parser.add_argument("--rows", type=int, default=100_000, help="votes that are there before")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    asked = parser.parse_args()
    names = [asked.only] if asked.only else ["sqlite", "postgres"]
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder), names) as found:
        for name, (url, _) in found.items():
            began = time.perf_counter()
            seed(url, asked.rows)
            print(f"{name} filled in {time.perf_counter() - began:.0f} s", flush=True)
        print(
            f"{asked.rows:,} votes there before; a lease and its vote, {asked.processes} processes"
        )
        print(
            f"{'clients':>8} {'database':10} {'a second':>9} {'median ms':>10} {'p95 ms':>8} "
            f"{'processor ms':>13}"
        )
        for clients in asked.clients:
            for name, (url, server) in found.items():
                took = measure(url, clients, asked.votes, asked.processes, server)
                print(
                    f"{clients:8} {name:10} {took.speed:9.0f} {1e3 * took.median:10.1f} "
                    f"{1e3 * took.p95:8.1f} {1e3 * took.processor:13.1f}",
                    flush=True,
                )
        return int("postgres" in found and bool(show_plans(found["postgres"][0])))


if __name__ == "__main__":
    raise SystemExit(main())
