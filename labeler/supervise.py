"""`livedpo serve`: web, scheduler and worker as child processes, restarted when they die.

Each child is what `livedpo web`, `scheduler` or `worker` runs, with its settings in the environment
and a pipe as standard input: when this process ends, however it does, the pipe closes and the
children stop. A child that ends because of a user's mistake (exit code 2) ends the service.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from filelock import FileLock, Timeout

from labeler.config import STARTER_PROMPTS, Settings, as_environment, refuse_open_host
from labeler.errors import BadInput, LivedpoError
from labeler.prompts import read_prompts
from labeler.role import SUPERVISED
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
        self._url = f"http://{settings.host}:{settings.port}"
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
                self._store.roles.alarm(child.name, None)
        self._announce(now)
        return None

    def shut_down(self) -> None:
        """Stop the children and give every lease back."""
        for child in self._children:
            child.stop()
        deadline = time.time() + STOP_SECONDS
        for child in self._children:
            child.wait(max(0.1, deadline - time.time()))
        self._store.queue.end_all_leases(now=time.time())

    def _report_death(self, child: Child, code: int, now: float) -> None:
        again = child.start_at - now
        self._say(f"The {child.name} ended with code {code}; it starts again in {again:.1f} s.")
        if child.recent_deaths(now) >= DEATHS_BEFORE_ALARM:
            alarm = f"The {child.name} died {child.recent_deaths(now)} times in five minutes."
            self._store.roles.alarm(child.name, alarm)

    def _announce(self, now: float) -> None:
        """Say once where the page is, and then once that the first pair is there."""
        after = now - self._started_at
        if "page" not in self._announced:
            if self._web_is_up():
                self._announced.add("page")
                self._say(f"Rate pairs at {self._url} (up after {after:.1f} s; Ctrl-C stops).")
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
        _check_port(settings)
        store = open_store(settings.database_url)
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


def add_first_prompts(settings: Settings, store: Store, say: Say) -> None:
    """Add the prompts of `--prompts`, or the starter's to a database that has none."""
    path = settings.prompts
    if path is None and store.prompts.any():
        return
    found = read_prompts(path or STARTER_PROMPTS)
    added, duplicates = store.prompts.add(found.prompts, now=time.time())
    if added or found.bad_lines:
        say(f"{added} prompts added, {duplicates} were there already. {found.complaint()}".strip())


@contextmanager
def hold_data_dir(settings: Settings) -> Iterator[None]:
    """Keep a second service off this data dir. Raises LivedpoError if one is there."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(settings.data_dir / "serve.lock", timeout=0)
        with lock:
            yield
    except Timeout as error:
        raise LivedpoError(
            f"The data dir {settings.data_dir} is in use by another running service; stop that "
            "one, or give another --data-dir."
        ) from error
    except OSError as error:
        raise BadInput(f"The data dir {settings.data_dir} cannot be used: {error}.") from error


def _check_port(settings: Settings) -> None:
    """Raise BadInput if the port is taken; a page that is just closing gets a few seconds."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in range(50):
            try:
                probe.bind((settings.host, settings.port))
                return
            except OSError:
                time.sleep(POLL_SECONDS)
    raise BadInput(f"Port {settings.port} is in use; give another one with --port.")
