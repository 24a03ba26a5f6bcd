"""The scheduler: APScheduler that pokes the store. It decides nothing and holds nothing.

Whether an update is due is decided in one transaction of the store, so it does not matter how often
or from how many processes it is asked. `livedpo scheduler` runs it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    JobEvent,
)
from apscheduler.schedulers.background import BackgroundScheduler

from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError, first_line
from labeler.domain.report_keys import JOB
from labeler.roles.process import own_name, run_role
from labeler.roles.reporting import Reporter, refuse_missing_client
from labeler.store import Store

log = logging.getLogger(__name__)

ROLE = "scheduler"
UPDATE_POLL_SECONDS = 0.5
LEASE_POLL_SECONDS = 5.0
TIDY_SECONDS = 60.0
CHECKPOINT_SECONDS = 10.0
REPORT_SECONDS = 5.0
CLOCK_SECONDS = 1.0


def open_due_update(settings: Settings, store: Store, now: float) -> None:
    """Open an update if one is due."""
    opened = store.updates.open_if_due(settings.due_rules, now=now)
    if opened is not None:
        log.info("Update %s is open.", opened)


def end_leases(settings: Settings, store: Store, now: float) -> None:
    """End what waited too long: leases, pairs of old versions or for further votes. Forget
    processes that are gone, and say that this one lives.
    """
    store.queue.end_expired_leases(now=now)
    store.queue.retire_too_old(max_staleness=settings.served_staleness)
    store.overlap.settle(wait_seconds=settings.lease_seconds, now=now)
    store.processes.forget_gone(now=now)
    says = "Watching for due updates."
    store.processes.say(own_name(ROLE), says, pid=os.getpid(), now=now)


def run_scheduler(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Poke the store until `stop` is set."""
    scheduler = BackgroundScheduler(
        timezone=UTC,
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    scheduler.add_listener(
        JobAlarms(store).hear,
        EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_EXECUTED,
    )
    scheduler.add_job(
        lambda: open_due_update(settings, store, time.time()),
        "interval",
        seconds=UPDATE_POLL_SECONDS,
        id="open due update",
    )
    scheduler.add_job(
        lambda: end_leases(settings, store, time.time()),
        "interval",
        seconds=LEASE_POLL_SECONDS,
        id="end leases",
        next_run_time=datetime.now(UTC),
    )
    scheduler.add_job(
        lambda: store.tidy(now=time.time()), "interval", seconds=TIDY_SECONDS, id="tidy"
    )
    scheduler.add_job(
        store.checkpoint, "interval", seconds=CHECKPOINT_SECONDS, id="keep the database small"
    )
    reporter = None if settings.report_to is None else Reporter(settings, store)
    if reporter is not None:
        refuse_missing_client(settings)
        scheduler.add_job(
            reporter.step, "interval", seconds=REPORT_SECONDS, id=f"report to {settings.report_to}"
        )
    store.processes.recovered(ROLE)
    scheduler.start()
    follow_clock(scheduler, stop)
    scheduler.shutdown(wait=True)
    if reporter is not None:
        reporter.close()


def follow_clock(
    scheduler: BackgroundScheduler, stop: threading.Event, clock: Callable[[], float] = time.time
) -> None:
    """Until `stop` is set, run all jobs at once whenever the clock of the machine was set back.

    APScheduler goes by that clock, and would wait until it is as late again as it was.
    """
    seen = clock()
    while not stop.wait(CLOCK_SECONDS):
        now = clock()
        if now < seen:
            log.warning("The clock was set back by %.0f s; all jobs run now.", seen - now)
            for job in scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))
        seen = now


class JobAlarms:
    """Turns a job's trouble into an alarm, and its next success into none.

    Events come from several threads: a run that ends while another is missed must not leave an
    alarm that nobody takes back.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failing: set[str] = set()
        self._turn = threading.Lock()

    def hear(self, event: JobEvent) -> None:
        """Note what became of a run."""
        key = JOB.format(event.job_id)
        with self._turn:
            try:
                if event.code != EVENT_JOB_EXECUTED:
                    self._failing.add(key)
                    self._store.processes.alarm(key, _trouble(event))
                elif key in self._failing:
                    self._store.processes.alarm(key, None)
                    self._failing.remove(key)
            except LivedpoError as error:  # the database takes no alarm either; the log has both
                log.error("%s", error)


def _trouble(event: JobEvent) -> str:
    """What went wrong, told in the log too."""
    error = getattr(event, "exception", None)
    trouble = first_line(error) if error else "a run was missed"
    log.error("Job '%s': %s", event.job_id, trouble, exc_info=error)
    return trouble


if __name__ == "__main__":
    run_role(ROLE, run_scheduler)
