"""Leases and votes a second on SQLite and PostgreSQL: `python -m tests.benchmarks.store`.

A client is a thread with a rater of its own, who takes a pair and votes on it, without a break. The
clients share some processes, as raters share web processes. Both databases write through to the
disk. The tables hold `--rows` votes before, and as many pairs and leases; `--rows 1000000` is what
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
NAMES = {"id", "lease_id", "vote_id", "superseded_by", "digest"}
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
    """One process: a thread for each rater; how long each lease with its vote took."""
    taken: list[float] = []

    def client(rater: int) -> None:
        rng = random.Random(rater)
        start.wait()  # type: ignore[attr-defined]
        for _ in range(votes):
            began = time.perf_counter()
            lease_and_vote(store, rater, f"page {rater}", NOW + 60, rng)
            taken.append(time.perf_counter() - began)

    with closing(open_store(url)) as store:
        threads = [threading.Thread(target=client, args=(rater,)) for rater in raters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    results.put(taken)  # type: ignore[attr-defined]


def measure(url: str, clients: int, votes: int, processes: int) -> tuple[float, float, float]:
    """Leases with their vote a second, and the median and 95th percentile of one, in seconds."""
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
    began = time.perf_counter()
    taken = sorted(seconds for _ in jobs for seconds in results.get())
    passed = time.perf_counter() - began
    for job in jobs:
        job.join()
    return len(taken) / passed, statistics.median(taken), taken[int(0.95 * (len(taken) - 1))]


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
def databases(folder: Path, names: list[str]) -> Iterator[dict[str, str]]:
    """A new one of each kind."""
    found = {"sqlite": f"sqlite:///{folder}/store.sqlite"}
    server = Server(**ON_DISK) if "postgres" in names else None
    if server is not None:
        found["postgres"] = server.url()
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
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder), names) as urls:
        for name, url in urls.items():
            began = time.perf_counter()
            seed(url, asked.rows)
            print(f"{name} filled in {time.perf_counter() - began:.0f} s", flush=True)
        print(
            f"{asked.rows:,} votes there before; a lease and its vote, {asked.processes} processes"
        )
        print(f"{'clients':>8} {'database':10} {'a second':>9} {'median ms':>10} {'p95 ms':>8}")
        for clients in asked.clients:
            for name, url in urls.items():
                speed, median, slow = measure(url, clients, asked.votes, asked.processes)
                print(
                    f"{clients:8} {name:10} {speed:9.0f} {1e3 * median:10.1f} {1e3 * slow:8.1f}",
                    flush=True,
                )
        return int("postgres" in urls and bool(show_plans(urls["postgres"])))


if __name__ == "__main__":
    raise SystemExit(main())
