"""Roles as child processes, restarted when they die: what `livedpo serve` and `judge` stand on.

Each child is what `livedpo web`, `scheduler` or `worker` runs, with its settings in the environment
and a pipe as standard input: when this process ends, however it does, the pipe closes and the
children stop. A child whose first start fails because of a user's mistake (exit code 2) ends the
service; later such an end is a death like any, for what it needs may come back.

Times are of a clock that nobody sets (`time.monotonic`).
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock, Timeout

from labeler.config.load import as_environment
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.repeats import Repeats, again
from labeler.roles import MODULES, START
from labeler.roles.process import SUPERVISED
from labeler.store import Store

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
MAX_DOUBLINGS = 6  # which is more than the longest wait
DEATHS_BEFORE_ALARM = 3
SETTLED_SECONDS = 180.0  # longer than a large model takes to load, and to fail at its first step
STOP_SECONDS = 20.0
POLL_SECONDS = 0.1

Say = Callable[[str], None]


@dataclass
class Child:
    """A role's process. `deaths`: in a row, none of which had lived for SETTLED_SECONDS."""

    name: str
    environment: dict[str, str]
    words: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    start_at: float = -math.inf
    started_at: float = 0.0
    starts: int = 0

    def check(self, now: float) -> int | None:
        """Start it if that is due; the exit code if it has just ended."""
        if self.process is None:
            if now >= self.start_at:
                self._start(now)
            return None
        code = self.process.poll()
        if code is not None:
            self._note_death(now)
        return code

    def has_settled(self, now: float) -> bool:
        """Whether it has lived for long."""
        return self.process is not None and now - self.started_at >= SETTLED_SECONDS

    def stop(self) -> None:
        """Ask it to stop."""
        if self.process is not None:
            self.process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for its end, and force it after `seconds`."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _start(self, now: float) -> None:
        self.starts += 1
        self.started_at = now
        # A session of its own: Ctrl-C reaches only the supervisor.
        self.process = subprocess.Popen(
            [sys.executable, "-m", START, MODULES[self.name], SUPERVISED, *self.words],
            env=self.environment,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _note_death(self, now: float) -> None:
        self.deaths = 1 if self.has_settled(now) else self.deaths + 1
        self.process = None
        doublings = min(self.deaths - 1, MAX_DOUBLINGS)
        self.start_at = now + min(FIRST_BACKOFF_SECONDS * 2**doublings, MAX_BACKOFF_SECONDS)


class Supervisor:
    """The children, and what is said of their deaths. `words` go to each on its command line."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        say: Say,
        names: Sequence[str],
        words: tuple[str, ...] = (),
    ) -> None:
        self._settings = settings
        self._store = store
        self._say = say
        self._repeats = Repeats()
        environment = os.environ | as_environment(settings)
        self._children = {name: Child(name, environment, words) for name in names}

    def step(self, now: float) -> int | None:
        """One look at the children; the exit code if the service cannot go on."""
        for child in self._children.values():
            code = child.check(now)
            if code == BadInput.exit_code and child.starts == 1:
                return code
            if code is not None:
                self._report_death(child, code, now)
            elif child.deaths and child.has_settled(now) and self._alarm(child.name, None):
                child.deaths = 0
        return None

    def pid(self, name: str) -> int | None:
        """The process of a role, while it runs."""
        process = self._children[name].process
        return process.pid if process else None

    def shut_down(self, seconds: float = STOP_SECONDS) -> None:
        """Stop the children, by force if they take longer than that; give every lease back."""
        for child in self._children.values():
            child.stop()
        deadline = time.monotonic() + seconds
        for child in self._children.values():
            child.wait(max(0.1, deadline - time.monotonic()))
        self.attempt(lambda: self._store.queue.end_all_leases(now=time.time()))

    def attempt(self, verb: Callable[[], None]) -> bool:
        """Use the database, or say why not: a full disk must not end what still runs."""
        try:
            verb()
        except LivedpoError as error:
            times = self._repeats.since(str(error), time.monotonic())
            if times is not None:
                self._say(again(str(error), times))
            return False
        return True

    def _alarm(self, name: str, alarm: str | None) -> bool:
        return self.attempt(lambda: self._store.processes.alarm(name, alarm))

    def _report_death(self, child: Child, code: int, now: float) -> None:
        again = child.start_at - now
        file = self._settings.data_dir / "logs" / f"{child.name}.log"
        self._say(
            f"The {child.name} ended with code {code} (see {file}); restarting in {again:.1f} s."
        )
        if child.deaths >= DEATHS_BEFORE_ALARM:
            within = f"each time within {SETTLED_SECONDS / 60:.0f} minutes of its start"
            self._alarm(child.name, f"it died {child.deaths} times in a row, {within}")


@contextmanager
def hold_data_dir(settings: Settings) -> Iterator[None]:
    """Keep a second service off this data dir. Raises LivedpoError if one is there."""
    lock = FileLock(settings.data_dir / "serve.lock", timeout=0)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise LivedpoError(
            f"The data dir {settings.data_dir} is in use by another service; stop it, or "
            "choose another --data-dir."
        ) from error
    except OSError as error:
        raise BadInput(f"The data dir {settings.data_dir} cannot be used: {error}.") from error
    try:
        yield
    finally:
        lock.release()
