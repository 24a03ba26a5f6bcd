"""A service on a tiny policy with somebody who votes, and one cell after another tried on it."""

import contextlib
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from labeler.store import Store, open_store
from tests.faults.matrix.cells import Cell
from tests.faults.matrix.inject import Lift, inject
from tests.faults.matrix.voter import Voter
from tests.support.patience import wait_until
from tests.support.service import Service
from tests.support.tiny import EASY, save_tiny_policy

PROGRAM = "tests.faults.matrix.held"
LOOK_SECONDS = 0.25
NUMBER = re.compile(r"\d+(\.\d+)?")
MIN_TRIES = 4  # requests that meet a fault, however short it is
SETTINGS = {
    "max_new_tokens": 8,
    "queue_pairs": 8,
    "labels_per_update": 4,
    "learning_rate": 1e-2,
    "threads": 1,
    **EASY,
}
# Facts that hold at any moment: how often each is violated.
VIOLATIONS: Mapping[str, str] = {
    "not exactly one version was live": """
        SELECT COUNT(*) != 1 FROM policy_version WHERE LOWER(state) = 'live'
    """,
    "labels were used by two updates": """
        SELECT COUNT(*) FROM (
            SELECT l.vote_id FROM update_label l JOIN "update" u ON u.id = l.update_id
            WHERE LOWER(u.state) = 'promoted' AND LOWER(l.role) = 'train'
            GROUP BY l.vote_id HAVING COUNT(*) > 1)
    """,
    "labels were marked as used by an update that did not go live": """
        SELECT COUNT(*) FROM vote v JOIN "update" u ON u.id = v.used_in_update
        WHERE LOWER(u.state) != 'promoted'
    """,
    "slots were held twice": """
        SELECT COUNT(*) FROM (SELECT 1 FROM lease WHERE ended_at IS NULL
                              GROUP BY pair_id, slot HAVING COUNT(*) > 1)
    """,
}


@dataclass(frozen=True)
class Outcome:
    """What became of a cell. `seconds`: from the fault's end to the first vote sent and saved."""

    seconds: float
    refusals: int
    alarms: tuple[str, ...]
    wrong: tuple[str, ...]


class Watcher:
    """Looks at the database all the while, and keeps what was wrong and which alarms there were."""

    def __init__(self, store: Store, file: Path) -> None:
        self.wrong: set[str] = set()
        self._alarms: dict[str, str] = {}  # by their sentence without numbers, which count on
        self._store = store
        self._file = file
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    @property
    def alarms(self) -> tuple[str, ...]:
        """Each alarm as it last was."""
        return tuple(sorted(self._alarms.values()))

    def close(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()

    def now(self) -> list[str]:
        """The alarms of this moment; that of a random model, whose replies never end, is none."""
        alarms = self._store.reports.alarms(now=time.time(), disk=None)
        return [alarm for alarm in alarms if "replies were cut" not in alarm]

    def _live(self) -> None:
        reader = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, check_same_thread=False)
        with closing(reader):
            while not self._ended.wait(LOOK_SECONDS):
                self._alarms.update((NUMBER.sub("", alarm), alarm) for alarm in self.now())
                for what, query in VIOLATIONS.items():
                    ((count,),) = reader.execute(query)
                    if count:
                        self.wrong.add(what)


class Bench:
    """The service, the voter, and what they came to. Made by `bench`."""

    def __init__(self, data_dir: Path, settings: Mapping[str, object]) -> None:
        self.service = Service(data_dir, program=PROGRAM, **settings)
        self.voter = Voter(self.service.url)
        self._settings = {**settings, "port": self.service.settings["port"]}
        self._held = data_dir / "held"
        self._stores = contextlib.ExitStack()

    def begin(self) -> None:
        """Wait until a version was made."""
        self.service.wait_for_line("The first pair is ready")
        self.store = self._stores.enter_context(closing(open_store(self._url)))
        self.voter.goes.set()
        wait_until(lambda: self._status()["updates"]["done"], "version 1")
        self.voter.goes.clear()

    def close(self) -> None:
        """Leave nothing running, however far it came."""
        self.voter.close()
        self.service.__exit__()
        self._stores.close()

    def try_out(self, cell: Cell, lasting: float) -> Outcome:
        """Bring about the state, the fault, and its end; then look at everything."""
        watcher = Watcher(self.store, self.service.data_dir / "livedpo.sqlite")
        refusals, said = self.voter.refusals, len(self.service.lines)
        try:
            live = self._live()
            with self._in_state(cell.state):
                pid = wait_until(lambda: self._pid(cell.process), f"the {cell.process}")
                lift = inject(cell.fault, cell.process, pid, self.service)
            is_over = partial(self._is_told, cell, watcher, live)
            lifted_at = self._last(lift, lasting, is_over)
            seconds = self._until_voted(lifted_at)
            self._settle(watcher)
        finally:
            self.voter.goes.clear()
            watcher.close()
        wrong = [*sorted(watcher.wrong), *self._gone_wrong()]
        if any(
            "Traceback" in line or "Logging error" in line for line in self.service.lines[said:]
        ):
            wrong.append("a traceback on the terminal")
        if not is_over():
            wrong.append("nobody was told")
        refusals = self.voter.refusals - refusals
        return Outcome(seconds, refusals, watcher.alarms, tuple(wrong))

    @contextmanager
    def _in_state(self, state: str) -> Iterator[None]:
        """Hold the service in this state, and let it go."""
        if state == "idle":
            self.voter.goes.clear()
            wait_until(self._is_idle, "nothing to do")
            yield
            self.voter.goes.set()
            return
        hold, reached = self._held / f"{state}.hold", self._held / f"{state}.reached"
        reached.unlink(missing_ok=True)
        hold.touch()
        self.voter.goes.set()
        try:
            wait_until(reached.exists, state)
            yield
        finally:
            hold.unlink()

    def _is_told(self, cell: Cell, watcher: Watcher, live: int) -> bool:
        """Whether there was an alarm if there must be one. A version that is replaced needs none,
        if it is its folder that is gone.
        """
        is_replaced = cell.fault == "adapter gone" and self._live() != live
        return not cell.must_alarm or is_replaced or bool(watcher.alarms)

    def _live(self) -> int:
        version = self.store.versions.live()
        assert version is not None
        return version.id

    def _last(self, lift: Lift, lasting: float, is_over: Callable[[], bool]) -> float:
        """Let the fault last, until somebody was told if somebody must be; then end it."""
        ends, tries = time.monotonic() + lasting, self.voter.tries + MIN_TRIES
        try:
            wait_until(lambda: time.monotonic() >= ends and self.voter.tries >= tries, "tries")
            if lasting:
                wait_until(is_over, "an alarm")
        finally:
            lift()
        return time.monotonic()

    def _until_voted(self, since: float) -> float:
        """Seconds until a vote that was sent after this was saved."""

        def voted() -> bool:
            self._revive()
            return self.voter.first_saved_since(since) is not None

        wait_until(voted, "a vote")
        return (self.voter.first_saved_since(since) or since) - since

    def _settle(self, watcher: Watcher) -> None:
        """Until no alarm stands, all roles are there, and nothing is left to do."""

        def is_calm() -> bool:
            self._revive()
            return not watcher.now() and len(self.service.pids()) == 3

        wait_until(is_calm, "no alarm")
        self.voter.goes.clear()
        wait_until(self._is_idle, "nothing to do")

    def _gone_wrong(self) -> list[str]:
        votes = [row.vote for row in self.store.reports.votes()]
        ids = {vote.id for vote in votes}
        found = {
            "votes lost that were answered as saved": len(set(self.voter.saved) - ids),
            "votes stored twice": len(votes) - len({vote.pair_id for vote in votes}),
            "votes stored that nobody sent": len(ids - self.voter.sent),
        }
        return [f"{count} {what}" for what, count in found.items() if count]

    def _pid(self, process: str) -> int | None:
        if process == "supervisor":
            return self.service.process.pid
        return self.service.pids().get(process)

    def _is_idle(self) -> bool:
        status = self._status()
        return (
            status["updates"]["running"] == 0
            and status["labels"]["fresh"] < int(str(SETTINGS["labels_per_update"]))
            and status["pairs"]["ready"] >= 2
        )

    @property
    def _url(self) -> str:
        return f"sqlite:///{self.service.data_dir / 'livedpo.sqlite'}"

    def _status(self) -> dict[str, Any]:
        return self.store.reports.status(max_staleness=2)

    def _revive(self) -> None:
        """Start the service again if it has ended, as whoever runs it would."""
        if self.service.process.poll() is None:
            return
        self.service.wait_for_end()
        self.service = Service(self.service.data_dir, program=PROGRAM, **self._settings)


@contextmanager
def bench(folder: Path, *, policy: Path | None = None, clocks: bool = False) -> Iterator[Bench]:
    """A running service that has made a version; with a clock for each process if asked."""
    data_dir = folder / "run"
    (data_dir / "held").mkdir(parents=True)
    if clocks:
        for name in (
            "clocks",
            *(f"{p}.clock" for p in ("web", "scheduler", "worker", "supervisor")),
        ):
            (data_dir / "held" / name).write_text("+0")
    prompts = folder / "prompts.jsonl"
    prompts.write_text("\n".join(f'"how do you make tea {n}?"' for n in range(200)))
    policy = policy or save_tiny_policy(folder / "policy")
    made = Bench(data_dir, SETTINGS | {"policy": policy, "prompts": prompts})
    with closing(made):
        made.begin()
        yield made
