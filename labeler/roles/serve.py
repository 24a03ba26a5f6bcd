"""`livedpo serve`: web page, scheduler and worker, watched over until Ctrl-C."""

import contextlib
import threading
import time

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.files.hints import read_hints
from labeler.files.kept_settings import keep_settings
from labeler.files.policy import refuse_unfit_policy
from labeler.files.prompts import add_first_prompts
from labeler.roles.address import home_of, listen, refuse_open_door
from labeler.roles.reporting import refuse_missing_client
from labeler.roles.supervisor import POLL_SECONDS, Say, Supervisor, hold_data_dir
from labeler.store import Store, open_store

ROLES = ("web", "scheduler", "worker")
LONG_SECONDS = 10.0


class Announcer:
    """Says once where the page is, and then once that the first pair is there.

    Where that takes long it says every few seconds how far the worker is.
    """

    def __init__(self, settings: Settings, store: Store, supervisor: Supervisor, say: Say) -> None:
        self._settings = settings
        self._store = store
        self._supervisor = supervisor
        self._say = say
        self._started_at = self._told_at = time.time()
        self._said: set[str] = set()

    def step(self, now: float) -> None:
        """One look at what is there by now."""
        if len(self._said) == 2:
            return
        after = now - self._started_at
        if "page" not in self._said:
            if self._web_is_up():
                self._said.add("page")
                url = home_of(self._settings)
                self._say(f"Rate pairs at {url} (up after {after:.1f} s; Ctrl-C stops).")
        elif self._store.queue.ready() > 0:
            self._said.add("pair")
            self._say(f"The first pair is ready (after {after:.1f} s).")
        if len(self._said) < 2 and now - self._told_at >= LONG_SECONDS:
            self._told_at = now
            self._say(f"After {after:.0f} s: {self._worker_says()}")

    def _worker_says(self) -> str:
        """What this worker said last; an earlier one may have left its own words."""
        heard = (each for each in self._store.processes.all() if each.name == "worker")
        said = [each.says for each in heard if (each.beat_at or 0.0) >= self._started_at]
        return "".join(said) or "The worker starts."

    def _web_is_up(self) -> bool:
        pid = self._supervisor.pid("web")
        up = [each.pid for each in self._store.processes.all() if each.name == "web"]
        return pid is not None and pid in up


def _has_admin(settings: Settings) -> bool:
    """Whether somebody holds the door, looked up without making a database."""
    try:
        store = open_store(settings.database_url, create=False)
    except BadInput:
        return False
    with contextlib.closing(store):
        return store.raters.has_admin()


def serve(settings: Settings, stop: threading.Event, say: Say) -> int:
    """Run the service until `stop` is set; returns the exit code. Raises LivedpoError."""
    refuse_open_door(settings, has_admin=_has_admin(settings))
    if settings.judge_after == 0:
        raise BadInput(
            "A judge that labels at once leaves nothing for people to rate; set --judge-after to "
            "some seconds, or run `livedpo judge`, which has no page."
        )
    hints = read_hints(settings)
    refuse_unfit_policy(settings)
    refuse_missing_client(settings)
    with hold_data_dir(settings):
        listen(settings.host, settings.port, stop).close()
        store = open_store(settings.database_url)
        store.queue.end_all_leases(now=time.time())  # left by a kill -9; pages take theirs up again
        add_first_prompts(settings, store, say)
        keep_settings(settings, "serve")
        store.processes.clear_alarms()
        if hints:
            share = settings.hint_share
            say(f"To {share:.0%} of the prompts half of the replies are drawn under a hint.")
        say(f"Starting with the policy {settings.policy}; data in {settings.data_dir}.")
        supervisor = Supervisor(settings, store, say, ROLES)
        announcer = Announcer(settings, store, supervisor, say)
        code = None
        try:
            while code is None and not stop.is_set():
                code = supervisor.step(time.monotonic())
                supervisor.attempt(lambda: announcer.step(time.time()))
                stop.wait(POLL_SECONDS)
        finally:
            say("Stopping.")
            supervisor.shut_down()
        say("Stopped; every vote is saved.")
        return code or 0
