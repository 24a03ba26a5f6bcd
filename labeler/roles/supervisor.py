"""Roles as child processes, restarted when they die: what `livedpo serve` and `judge` stand on.

Each child is what `livedpo web`, `scheduler` or `worker` runs, with its settings in the environment
and a pipe as standard input: when this process ends, however it does, the pipe closes and the
children stop. A child whose first start fails because of a user's mistake (exit code 2) ends the
service; later such an end is a death like any, for what it needs may come back.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

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
DEATHS_BEFORE_ALARM = 3
DEATHS_WINDOW_SECONDS = 300.0
CALM_SECONDS = 60.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.1

Say = Callable[[str], None]


@dataclass
class Child:
    """A role's process, and when it died before."""

    name: str
    environment: dict[str, str]
    words: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)
    start_at: float = 0.0
    starts: int = 0

    def check(self, now: float) -> int | None:
        """Start it if that is due; the exit code if it has just ended."""
        if self.process is None:
            if now >= self.start_at:
                self._start()
            return None
        code = self.process.poll()
        if code is not None:
            self._note_death(now)
        return code

    def recent_deaths(self, now: float) -> int:
        """How often it died lately."""
        return sum(death > now - DEATHS_WINDOW_SECONDS for death in self.deaths)

    def is_calm(self, now: float) -> bool:
        """Whether it has died before, but not for a while."""
        return bool(self.deaths) and now - self.deaths[-1] > CALM_SECONDS

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

    def _start(self) -> None:
        self.starts += 1
        # A session of its own: Ctrl-C reaches only the supervisor.
        self.process = subprocess.Popen(
            [sys.executable, "-m", START, MODULES[self.name], SUPERVISED, *self.words],
            env=self.environment,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _note_death(self, now: float) -> None:
        self.process = None
        self.deaths.append(now)
        backoff = FIRST_BACKOFF_SECONDS * 2 ** (self.recent_deaths(now) - 1)
        self.start_at = now + min(backoff, MAX_BACKOFF_SECONDS)


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
            elif child.is_calm(now):
                child.deaths.clear()
                self._alarm(child.name, None)
        return None

    def pid(self, name: str) -> int | None:
        """The process of a role, while it runs."""
        process = self._children[name].process
        return process.pid if process else None

    def shut_down(self, seconds: float = STOP_SECONDS) -> None:
        """Stop the children, by force if they take longer than that; give every lease back."""
        for child in self._children.values():
            child.stop()
        deadline = time.time() + seconds
        for child in self._children.values():
            child.wait(max(0.1, deadline - time.time()))
        self.attempt(lambda: self._store.queue.end_all_leases(now=time.time()))

    def attempt(self, verb: Callable[[], None]) -> None:
        """Use the database, or say why not: a full disk must not end what still runs."""
        try:
            verb()
        except LivedpoError as error:
            times = self._repeats.since(str(error), time.time())
            if times is not None:
                self._say(again(str(error), times))

    def _alarm(self, name: str, alarm: str | None) -> None:
        self.attempt(lambda: self._store.processes.alarm(name, alarm))

    def _report_death(self, child: Child, code: int, now: float) -> None:
        again = child.start_at - now
        file = self._settings.data_dir / "logs" / f"{child.name}.log"
        self._say(
            f"The {child.name} ended with code {code} (see {file}); restarting in {again:.1f} s."
        )
        times = child.recent_deaths(now)
        if times >= DEATHS_BEFORE_ALARM:
            self._alarm(child.name, f"it died {times} times within minutes")


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
