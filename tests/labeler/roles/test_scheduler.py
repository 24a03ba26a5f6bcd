"""The scheduler in its own thread, on a real SQLite file."""

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from pathlib import Path

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.background import BackgroundScheduler

from labeler.config.settings import Settings
from labeler.domain.rules import DueRules
from labeler.roles import scheduler as module
from labeler.roles.scheduler import JobAlarms, follow_clock, run_scheduler
from labeler.store import Store
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.store import alarms, lease, vote_on
from tests.support.tiny import fill


def test_an_update_opens_soon_after_the_label_that_makes_it_due_and_leases_run_out(
    store: Store, tmp_path: Path
) -> None:
    fill(store, 4)
    settings = Settings(data_dir=tmp_path, labels_per_update=2)
    stop = threading.Event()
    thread = threading.Thread(target=run_scheduler, args=(settings, store, stop))
    thread.start()
    try:
        now = time.time()
        pairs = lease(store, 2, seconds=999, now=now)
        lease(store, holder="other", seconds=1, now=now)
        for pair in pairs:
            assert store.updates.last() is None
            vote_on(store, pair, now=now)
        wait_until(lambda: store.updates.last() is not None)
        wait_until(lambda: store.reports.status(max_staleness=2)["pairs"]["leased"] == 0)
    finally:
        stop.set()
        thread.join(timeout=PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_when_the_clock_was_set_back_no_job_waits_until_it_is_as_late_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CLOCK_SECONDS", 0.01)
    scheduler, ran, stop = BackgroundScheduler(timezone=UTC), threading.Event(), threading.Event()
    late = datetime.now(UTC) + timedelta(hours=1)
    scheduler.add_job(ran.set, "interval", seconds=5, next_run_time=late)
    scheduler.start()
    clock = chain([5000.0, 5001.0, 1402.0], repeat(1403.0))
    watch = threading.Thread(target=follow_clock, args=(scheduler, stop, clock.__next__))
    watch.start()
    try:
        wait_until(ran.is_set, "the job")
    finally:
        stop.set()
        watch.join(timeout=PATIENCE_SECONDS)
        scheduler.shutdown()
    assert not watch.is_alive()


def test_a_job_that_fails_raises_an_alarm_and_goes_on(
    store: Store, tmp_path: Path, monkeypatch: object
) -> None:
    fill(store, 1)
    broken = threading.Event()
    real = store.updates.open_if_due

    def open_if_due(rules: DueRules, *, now: float) -> int | None:
        if not broken.is_set():
            broken.set()
            raise RuntimeError("the disk went away")
        return real(rules, now=now)

    store.updates.open_if_due = open_if_due  # type: ignore[method-assign]
    alarms: list[str | None] = []
    real_alarm = store.processes.alarm

    def alarm(name: str, text: str | None) -> None:
        alarms.append(text)
        real_alarm(name, text)

    store.processes.alarm = alarm  # type: ignore[method-assign]
    stop = threading.Event()
    settings = Settings(data_dir=tmp_path)
    thread = threading.Thread(target=run_scheduler, args=(settings, store, stop))
    thread.start()
    try:
        wait_until(lambda: len(alarms) >= 2)
    finally:
        stop.set()
        thread.join(timeout=PATIENCE_SECONDS)
    assert alarms[:2] == ["the disk went away", None]


def test_what_an_earlier_scheduler_reported_ends_when_a_new_one_is_at_work(
    store: Store, tmp_path: Path
) -> None:
    store.processes.alarm("scheduler: end leases", "a run was missed")
    store.processes.alarm("scheduler: trouble", "the disk is full")
    stop = threading.Event()
    thread = threading.Thread(target=run_scheduler, args=(Settings(data_dir=tmp_path), store, stop))
    thread.start()
    try:
        wait_until(lambda: alarms(store) == [])
    finally:
        stop.set()
        thread.join(timeout=PATIENCE_SECONDS)


def test_a_missed_run_is_no_alarm_after_one_that_succeeds_whatever_thread_tells_it(
    store: Store,
) -> None:
    told = JobAlarms(store)
    missed, done = (
        JobEvent(code, "end leases", "default") for code in (EVENT_JOB_MISSED, EVENT_JOB_EXECUTED)
    )

    def tell(seed: int) -> None:
        for event in random.Random(seed).choices([missed, done], k=15):
            told.hear(event)

    threads = [threading.Thread(target=tell, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.hear(missed)
    [alarm] = alarms(store)
    assert alarm.startswith("scheduler: end leases: A run was missed. It is run again")
    told.hear(done)
    assert alarms(store) == []
