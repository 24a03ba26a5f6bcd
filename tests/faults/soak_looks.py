"""What a soak sees once a minute: each process, the files, the votes and the loop."""

import contextlib
import csv
import math
import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psutil

from tests.benchmarks.crowd import spread
from tests.benchmarks.load_ours import PageRater
from tests.support.service import Service

PROCESSES = ("serve", "web", "scheduler", "worker")
KB, MB = 1e3, 1e6
# From the last vote that an update needed to its end, of those that ended since.
WAITS = """
    SELECT u.finished_at - MAX(v.created_at) FROM "update" u
    JOIN update_label l ON l.update_id = u.id JOIN vote v ON v.id = l.vote_id
    WHERE u.finished_at > ? AND u.version_id IS NOT NULL GROUP BY u.id
"""
LIVE = "SELECT COUNT(*) FROM policy_version WHERE LOWER(state) = 'live'"
VOTES = "SELECT COUNT(*) FROM vote"

Row = dict[str, float]  # a figure's name and value; one that is missing is NaN


class Watch:
    """Looks at a running service, and keeps what it saw in a file. Times in seconds since 1970."""

    def __init__(
        self, service: Service, raters: Sequence[PageRater], file: Path, began: float
    ) -> None:
        self.rows: list[Row] = []
        self._service = service
        self._raters = raters
        self._file = file
        self._began = self._looked = began
        self._heard = [0 for _ in raters]

    def look(self, now: float, restarts: int) -> Row:
        """One look, `restarts` being how often a role was killed so far."""
        row = {"minute": (now - self._began) / 60, "restarts": float(restarts)}
        row |= self._processes() | self._files() | self._votes() | self._loop()
        self._looked = now
        self.rows.append(row)
        self._write()
        return row

    def _processes(self) -> Row:
        row = {}
        pids = {"serve": self._service.process.pid} | self._service.pids()
        for name in PROCESSES:
            sizes = (math.nan,) * 4
            with contextlib.suppress(psutil.Error, KeyError):
                process = psutil.Process(pids[name])
                with process.oneshot():
                    rss = process.memory_info().rss / MB
                    sizes = rss, process.num_threads(), process.num_fds(), process.create_time()
            names = (f"{name} {what}" for what in ("MB", "threads", "handles", "since"))
            row |= dict(zip(names, sizes, strict=True))
        return row

    def _files(self) -> Row:
        folder = self._service.data_dir
        return {
            "database kB": _size(folder / "livedpo.sqlite"),
            "WAL kB": _size(folder / "livedpo.sqlite-wal"),
            "log kB": sum(_size(file) for file in (folder / "logs").iterdir()),
        }

    def _votes(self) -> Row:
        """Of the scripted raters, since the last look."""
        new = [
            seconds
            for rater, heard in zip(self._raters, self._heard, strict=True)
            for seconds in rater.tally.vote[heard:]
        ]
        self._heard = [len(rater.tally.vote) for rater in self._raters]
        found = spread(new)
        return {"vote p95 ms": found.p95 if found else math.nan}

    def _loop(self) -> Row:
        file = f"file:{self._service.data_dir / 'livedpo.sqlite'}?mode=ro"
        with closing(sqlite3.connect(file, uri=True, timeout=60)) as reader:
            waits = [seconds for (seconds,) in reader.execute(WAITS, (self._looked,))]
            ((live,),), ((votes,),) = reader.execute(LIVE), reader.execute(VOTES)
        return {
            "vote to version s": statistics.median(waits) if waits else math.nan,
            "live versions": float(live),
            "votes": float(votes),
        }

    def _write(self) -> None:
        with self._file.open("w", newline="") as out:
            writer = csv.DictWriter(out, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(
                {name: f"{value:.12g}" for name, value in row.items()} for row in self.rows
            )


def _size(file: Path) -> float:
    """In kB; 0 of a file that is not there."""
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_size / KB
    return 0.0
