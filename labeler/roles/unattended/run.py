"""`livedpo judge`: scheduler and worker without a page, the judge labels, until a budget is spent.

    every half second: are the children there? how far is the loop? is it to end?

The loop itself is the worker's (`trainer/worker/worker.py`). Everything that a run needs to go on
after a kill -9 is in the database; budgets count what the data dir holds.
"""

import os
import shlex
import threading
import time
from pathlib import Path

from labeler.config.settings import Settings
from labeler.config.starter import STARTER_POLICY
from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.repeats import Repeats, again
from labeler.domain.sentences.figures import span
from labeler.files.kept_settings import keep_settings
from labeler.files.policy import refuse_unfit_policy
from labeler.files.prompts import add_first_prompts
from labeler.roles.process import QUIET
from labeler.roles.reporting import refuse_missing_client
from labeler.roles.supervisor import Say, Supervisor, hold_data_dir
from labeler.roles.unattended.ending import (
    Ending,
    Patience,
    budget_spent,
    collapse,
    labels_in_vain,
    refused_in_a_row,
)
from labeler.roles.unattended.progress import Progress
from labeler.roles.unattended.summary import write_summary
from labeler.store import Store, open_store
from labeler.store.records import LoopState

ROLES = ("scheduler", "worker")
LOOK_SECONDS = 0.5
NOTE_SECONDS = 5.0
MAX_LOOK_SECONDS = 60.0
# A worker that is in the middle of something longer is killed: nothing is lost, that is done again.
STOP_SECONDS = 5.0
WINDOW_PAIRS = 16
INTERRUPTED = "Interrupted. Run the same command to resume."


def settings_for_judge(settings: Settings) -> Settings:
    """The judge labels every pair at once, nobody checks it, and there is no page to spare for.

    An update takes no more labels than the run may give, or there would be none.
    Raises BadInput if no judge is named and the policy is not the starter, which has its own.
    """
    judge = settings.judge
    if judge is None and settings.policy == str(STARTER_POLICY):
        judge = "starter"
    if judge is None:
        raise BadInput("No judge is set; name one with --judge, such as rm:DIR_OR_HUB_ID.")
    changes = {
        "judge": judge,
        "labels_per_update": min(
            settings.labels_per_update, settings.max_labels or settings.labels_per_update
        ),
        "unattended": True,
        "judge_check_share": 0.0,
        "threads": settings.threads or os.cpu_count() or 1,
    }
    return Settings(**(settings.model_dump(exclude_unset=True) | changes))


class Unattended:
    """One run: its children, and when it ends."""

    def __init__(self, settings: Settings, store: Store, say: Say, now: float) -> None:
        assert settings.judge is not None
        self._settings = settings
        self._store = store
        self._run = store.runs.begin(settings.judge, now=now)
        self._clock = WorkClock(store, self._run.seconds, now)
        self._patience = Patience(settings.stop_stalled_seconds, begun=now)
        self._version: int | None = None
        self._trouble_since: float | None = None
        self._repeats = Repeats()
        self._progress = Progress(settings, say, self._run.seconds)
        self._supervisor = Supervisor(settings, store, self._progress.say, ROLES, (QUIET,))

    def step(self, now: float) -> Ending | int | None:
        """One look; why the run ends, the exit code of a child that cannot go on, or None."""
        code = self._supervisor.step(time.monotonic())
        if code is not None:
            return code
        try:
            found = self._look(now)
        except LivedpoError as error:  # a full disk, say, which may have room again in a minute
            return self._trouble(error, now)
        self._trouble_since = None
        return found

    def end(self, ending: Ending | int | None) -> None:
        """Stop the children, and close the run unless it was interrupted."""
        self._progress.close()
        self._supervisor.shut_down(STOP_SECONDS)
        self._clock.note()
        if isinstance(ending, Ending):
            self._store.runs.end(ending.reason, now=time.time())

    def _look(self, now: float) -> Ending | None:
        self._clock.tick(now)
        settings = self._settings
        state = self._store.reports.loop(
            settings.due_rules, ended=settings.stop_rejected, since=self._run.started_at
        )
        self._progress.show(state, self._clock.seconds)
        return (
            self._collapse(state)
            or budget_spent(state, settings, seconds=self._clock.seconds, requests=self._requests())
            or refused_in_a_row(state, settings)
            or labels_in_vain(state, settings)
            or self._patience.lost(state, now)
        )

    def _requests(self) -> int:
        """What the judge was asked, where that is bounded."""
        if not self._settings.judge_max_requests:
            return 0
        return self._store.judging.spent(self._run.judge)

    def _collapse(self, state: LoopState) -> Ending | None:
        """Compare the live version's responses with the first ones, once there are enough."""
        if state.live is None or state.live == self._version:
            return None
        first, now = self._store.queue.first_and_last(WINDOW_PAIRS, version_id=state.live)
        if not now:
            return None
        self._version = state.live
        return collapse(first, now, state.live, self._settings)

    def _trouble(self, error: LivedpoError, now: float) -> Ending | None:
        """Say it, and end if it stays."""
        if self._trouble_since is None:
            self._trouble_since = now
        times = self._repeats.since(str(error), now)
        if times is not None:
            self._progress.say(again(str(error), times))
        if now - self._trouble_since <= self._settings.stop_stalled_seconds:
            return None
        return Ending(str(error), success=False)


class WorkClock:
    """How long the run has worked. A suspended machine, or a clock that is set, does not count."""

    def __init__(self, store: Store, seconds: float, now: float) -> None:
        self._store = store
        self.seconds = seconds
        self._noted = seconds
        self._looked_at = now

    def tick(self, now: float) -> None:
        """Count the time since the last look, and write it down every few seconds."""
        self.seconds += min(max(0.0, now - self._looked_at), MAX_LOOK_SECONDS)
        self._looked_at = now
        if self.seconds - self._noted >= NOTE_SECONDS:
            self.note()

    def note(self) -> None:
        """Write down what is not yet."""
        self._store.runs.work(self.seconds - self._noted)
        self._noted = self.seconds


def judge(settings: Settings, stop: threading.Event, say: Say) -> int:
    """Run until a budget is spent, a guard trips or `stop` is set; returns the exit code.

    Raises LivedpoError.
    """
    loaded, settings = settings, settings_for_judge(settings)
    refuse_unfit_policy(settings)
    refuse_missing_client(settings)
    with hold_data_dir(settings):
        store = open_store(settings.database_url)
        add_first_prompts(settings, store, say)
        keep_settings(loaded, "judge")
        store.processes.clear_alarms()
        store.queue.end_all_leases(now=time.time())  # left by a kill -9 of serve
        say(_first_words(settings))
        if (left := store.runs.last()) is not None and left.ended_at is None:
            say(f"Resuming a run that has worked for {span(left.seconds)}.")
        run = Unattended(settings, store, say, time.time())
        found: Ending | int | None = None
        try:
            while found is None and not stop.is_set():
                found = run.step(time.time())
                stop.wait(LOOK_SECONDS)
        finally:
            run.end(found)
        if isinstance(found, int):
            return found
        ending = found or Ending(INTERRUPTED, success=True)
        say(f"{ending.reason} The summary is in {_summarise(settings, store, ending)}.")
        return 0 if ending.success else 1


def _summarise(settings: Settings, store: Store, ending: Ending) -> Path:
    facts = store.reports.run_facts(
        reason=ending.reason,
        alarmed=not ending.success,
        policy=settings.policy,
        options=_options(settings),
    )
    try:
        return write_summary(settings.data_dir / "summary", facts)
    except OSError as error:
        raise LivedpoError(f"The summary cannot be written: {error}.") from error


def _first_words(settings: Settings) -> str:
    budgets = {
        "updates": settings.max_updates,
        "labels": settings.max_labels,
        "hours": settings.max_hours,
    }
    named = [f"{budget:,} {what}" for what, budget in budgets.items() if budget is not None]
    until = " or ".join(named) if named else "Ctrl-C or a guard ends it; no budget is set"
    return (
        f"The judge '{settings.judge}' labels for the policy {settings.policy} until {until}; "
        f"data in {settings.data_dir}."
    )


def _options(settings: Settings) -> str:
    """What other commands need to be told to work on the same data."""
    words = ["--data-dir", str(settings.data_dir)]
    if settings.database is not None:
        words += ["--database", settings.database]
    return shlex.join(words)
