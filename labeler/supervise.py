"""`livedpo serve`: web, scheduler and worker as child processes, restarted when they die.

Each child is what `livedpo web`, `scheduler` or `worker` runs, with its settings in the environment
and a pipe as standard input: when this process ends, however it does, the pipe closes and the
children stop. A child that ends because of a user's mistake (exit code 2) ends the service.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from filelock import FileLock, Timeout

from labeler.address import listen, url_of
from labeler.config import as_environment, refuse_open_host
from labeler.errors import BadInput, LivedpoError
from labeler.prompts import add_first_prompts
from labeler.role import SUPERVISED
from labeler.settings import Settings
from labeler.store import Store, open_store

MODULES = {
    "web": "labeler.web.role",
    "scheduler": "labeler.schedule",
    "worker": "trainer.worker",
}
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
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
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)
    start_at: float = 0.0

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
        # A session of its own: Ctrl-C reaches only the supervisor.
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULES[self.name], SUPERVISED],
            env=self.environment,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _note_death(self, now: float) -> None:
        self.process = None
        self.deaths.append(now)
        backoff = FIRST_BACKOFF_SECONDS * 2 ** (self.recent_deaths(now) - 1)
        self.start_at = now + min(backoff, LONGEST_BACKOFF_SECONDS)


class Supervisor:
    """The three children, and what is said of them."""

    def __init__(self, settings: Settings, store: Store, say: Say) -> None:
        self._settings = settings
        self._store = store
        self._say = say
        self._started_at = time.time()
        self._announced: set[str] = set()
        self._announced_troubles: set[str] = set()
        environment = os.environ | as_environment(settings)
        self._children = [Child(name, environment) for name in MODULES]

    def step(self, now: float) -> int | None:
        """One look at the children; the exit code if the service cannot go on."""
        for child in self._children:
            code = child.check(now)
            if code == BadInput.exit_code:
                return code
            if code is not None:
                self._report_death(child, code, now)
            elif child.is_calm(now):
                child.deaths.clear()
                self._alarm(child.name, None)
        self._try(lambda: self._announce(now))
        return None

    def shut_down(self) -> None:
        """Stop the children and give every lease back."""
        for child in self._children:
            child.stop()
        deadline = time.time() + STOP_SECONDS
        for child in self._children:
            child.wait(max(0.1, deadline - time.time()))
        self._try(lambda: self._store.queue.end_all_leases(now=time.time()))

    def _try(self, verb: Callable[[], None]) -> None:
        """Use the database, or say once why not: a full disk must not end what still runs."""
        try:
            verb()
        except LivedpoError as error:
            if str(error) not in self._announced_troubles:
                self._say(str(error))
            self._announced_troubles.add(str(error))

    def _alarm(self, name: str, alarm: str | None) -> None:
        self._try(lambda: self._store.roles.alarm(name, alarm))

    def _report_death(self, child: Child, code: int, now: float) -> None:
        again = child.start_at - now
        self._say(f"The {child.name} ended with code {code}; it starts again in {again:.1f} s.")
        if child.recent_deaths(now) >= DEATHS_BEFORE_ALARM:
            file = self._settings.data_dir / "logs" / f"{child.name}.log"
            times = child.recent_deaths(now)
            self._alarm(child.name, f"The {child.name} died {times} times lately; see {file}.")

    def _announce(self, now: float) -> None:
        """Say once where the page is, and then once that the first pair is there."""
        if len(self._announced) == 2:
            return
        after = now - self._started_at
        if "page" not in self._announced:
            if self._web_is_up():
                self._announced.add("page")
                url = url_of(self._settings)
                self._say(f"Rate pairs at {url} (up after {after:.1f} s; Ctrl-C stops).")
        elif "pair" not in self._announced and self._store.queue.ready() > 0:
            self._announced.add("pair")
            self._say(f"The first pair is ready (after {after:.1f} s).")

    def _web_is_up(self) -> bool:
        web = self._children[0].process
        pids = [role.pid for role in self._store.roles.all() if role.name == "web"]
        return web is not None and web.pid in pids


def serve(settings: Settings, stop: threading.Event, say: Say) -> int:
    """Run the service until `stop` is set; returns the exit code. Raises LivedpoError."""
    refuse_open_host(settings)
    with hold_data_dir(settings):
        listen(settings.host, settings.port, stop).close()
        store = open_store(settings.database_url)
        store.queue.end_all_leases(now=time.time())  # left by a kill -9; pages take theirs up again
        add_first_prompts(settings, store, say)
        for role in store.roles.all():
            store.roles.alarm(role.name, None)
        say(f"Starting with the policy {settings.policy}; data in {settings.data_dir}.")
        supervisor = Supervisor(settings, store, say)
        code = None
        try:
            while code is None and not stop.is_set():
                code = supervisor.step(time.time())
                stop.wait(POLL_SECONDS)
        finally:
            say("Stopping.")
            supervisor.shut_down()
        say("Stopped; every vote is saved.")
        return code or 0


@contextmanager
def hold_data_dir(settings: Settings) -> Iterator[None]:
    """Keep a second service off this data dir. Raises LivedpoError if one is there."""
    lock = FileLock(settings.data_dir / "serve.lock", timeout=0)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise LivedpoError(
            f"The data dir {settings.data_dir} is in use by another running service; stop that "
            "one, or give another --data-dir."
        ) from error
    except OSError as error:
        raise BadInput(f"The data dir {settings.data_dir} cannot be used: {error}.") from error
    try:
        yield
    finally:
        lock.release()
