"""A week of an unattended run on a tiny policy, with a clock that jumps: what grows, and what not.

    python -m tests.benchmarks.week --updates 2000

One process does what the worker, the scheduler and the supervisor do in three, so that its memory
and file handles are those of all. The judge fails on a quarter of the pairs, and the gate refuses
some updates. Leaves out the processes themselves and Gradio.
"""

import argparse
import contextlib
import gc
import logging
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

import psutil
import torch

from labeler.config.settings import Settings
from labeler.roles.logs import LOG_BYTES
from labeler.roles.scheduler import open_due_update
from labeler.roles.unattended.ending import budget_spent, collapse, refused_in_a_row
from labeler.roles.unattended.run import WINDOW_PAIRS
from labeler.store import Store, open_store
from labeler.store.records import LoopState
from tests.support.tiny import EASY, save_tiny_policy
from tests.support.worker import HandTurned
from trainer.policy.load import load_policy

WEEK_SECONDS = 7 * 86_400.0
LOOKS_AT_STATE = 20


@dataclass(frozen=True)
class Look:
    """What there is after so many `updates`. `objects` are Python's, tensors among them, and
    `handles` what is open of the data dir, whatever else this process has open. `state_ms` is one
    look of the supervisor, and `update_seconds` the time of an update with its sampling and
    judging, since the last look.
    """

    days: float
    updates: int
    promoted: int
    labels: int
    rss_mb: float
    objects: int
    handles: int
    threads: int
    folders: int
    adapters_kb: float
    database_kb: float
    wal_kb: float
    log_kb: float
    pairs: int
    failures: int
    state_ms: float
    update_seconds: float


def week_settings(policy: Path, data_dir: Path) -> Settings:
    """Eight labels an update, and five versions kept; the gate refuses some."""
    strict = {
        "gate_max_kl_live": 0.2,
        "gate_max_length_change": 1.3,
        "gate_max_agreement_drop": 0.15,
    }
    changes = EASY | {"gate_prompts": 4} | strict
    return Settings(
        policy=str(policy),
        data_dir=data_dir,
        judge="py:tests.support.judges:moody",
        unattended=True,
        judge_check_share=0.0,
        labels_per_update=8,
        max_new_tokens=12,
        learning_rate=1e-2,
        lora_rank=4,
        keep_versions=5,
        threads=1,
        **changes,
    )


class Week:
    """The loop of one data dir, on a clock of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = 1e9
        self._began = self.now
        self._looked_at = time.perf_counter(), 0
        self.store: Store = open_store(settings.database_url)
        self._connection = sqlite3.connect(settings.data_dir / "livedpo.sqlite")
        self._database_kb()  # so that all its files are open before any are counted
        prompts = [[{"role": "user", "content": f"how do you make tea {n}?"}] for n in range(200)]
        self.store.runs.begin(str(settings.judge), now=self.now)
        policy = load_policy(settings)
        self.worker = HandTurned(
            self.store, policy, settings, clock=lambda: self.now, prompts=prompts
        )

    def live(self, updates: int, looks: int) -> Iterator[Look]:
        """Run so many updates in seven days, and look at it at even intervals."""
        done = 0
        while done < updates:
            self._work_until_ended(done)
            done += 1
            self.now = self._began + done / updates * WEEK_SECONDS
            self._tend()
            if done * looks // updates > (done - 1) * looks // updates:
                yield self.look(done)

    def _work_until_ended(self, before: int) -> None:
        """One more update, whatever becomes of it."""
        idle = 0
        while self._ended() == before:
            busy = self.worker.step()
            idle = 0 if busy else idle + 1
            self.now += 1 if busy else 60
            assert idle < 100, "nothing moves"

    def _ended(self) -> int:
        last = self.store.updates.last()
        if last is None or last.id is None:
            return 0
        return last.id if last.finished_at else last.id - 1

    def _tend(self) -> None:
        """What the scheduler and the supervisor do all the time."""
        settings, store = self.settings, self.store
        open_due_update(settings, store, self.now)
        store.queue.end_expired_leases(now=self.now)
        store.tidy(now=self.now)
        store.runs.work(1.0)
        state = self._state()
        budget_spent(state, settings, seconds=0.0)
        refused_in_a_row(state, settings)
        live = state.live or 0
        collapse(*store.queue.first_and_last(WINDOW_PAIRS, version_id=live), live, settings)

    def look(self, updates: int) -> Look:
        """Measure everything."""
        begin, before = self._looked_at
        update_seconds = (time.perf_counter() - begin) / max(1, updates - before)
        status = self.store.reports.status(max_staleness=2)
        process, own = psutil.Process(), str(self.settings.data_dir)
        gc.collect()
        adapters = self.settings.adapters_dir
        look = Look(
            days=(self.now - self._began) / 86_400,
            updates=updates,
            promoted=status["updates"]["done"],
            labels=status["labels"]["judge"],
            rss_mb=process.memory_info().rss / 1e6,
            objects=len(gc.get_objects()),
            handles=len([file for file in process.open_files() if own in file.path]),
            threads=process.num_threads(),
            folders=len(list(adapters.iterdir())),
            adapters_kb=_kilobytes(*adapters.rglob("*")),
            database_kb=self._database_kb(),
            wal_kb=_kilobytes(self.settings.data_dir / "livedpo.sqlite-wal"),
            log_kb=_kilobytes(*self.settings.data_dir.glob("*.log*")),
            pairs=sum(status["pairs"][state] for state in ("ready", "labelled", "expired")),
            failures=sum(status["judge"]["abstained"].values()),
            state_ms=self._state_ms(),
            update_seconds=update_seconds,
        )
        self._looked_at = time.perf_counter(), updates
        return look

    def _database_kb(self) -> float:
        """The size with what is still in the log, however much SQLite has folded back by now."""
        ((pages,),) = self._connection.execute("PRAGMA page_count")
        ((size,),) = self._connection.execute("PRAGMA page_size")
        return float(pages * size / 1e3)

    def _state(self) -> LoopState:
        rules, ended = self.settings.due_rules, self.settings.stop_rejected
        return self.store.reports.loop(rules, ended=ended, since=self._began)

    def _state_ms(self) -> float:
        begin = time.perf_counter()
        for _ in range(LOOKS_AT_STATE):
            self._state()
        return (time.perf_counter() - begin) / LOOKS_AT_STATE * 1000

    def close(self) -> None:
        """Give everything back."""
        self.worker.close()
        self._connection.close()
        self.store.close()


def _kilobytes(*files: Path) -> float:
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e3


def main() -> None:
    """Live through a week, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--looks", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        log = RotatingFileHandler(Path(folder) / "worker.log", maxBytes=LOG_BYTES, backupCount=2)
        logging.basicConfig(level=logging.INFO, handlers=[log], format="%(asctime)s %(message)s")
        policy = save_tiny_policy(Path(folder) / "policy")
        week = Week(week_settings(policy, Path(folder)))
        names = list(Look.__annotations__)
        print("  ".join(names), flush=True)
        with contextlib.closing(week):
            for look in week.live(arguments.updates, arguments.looks):
                row = (f"{getattr(look, name):>{len(name)}.6g}" for name in names)
                print("  ".join(row), flush=True)


if __name__ == "__main__":
    main()
