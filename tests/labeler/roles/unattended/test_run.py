"""How long an unattended run has worked, over interruptions."""

import pytest

from labeler.roles.unattended.run import MAX_LOOK_SECONDS, NOTE_SECONDS, WorkClock
from labeler.store import Store


def worked(store: Store) -> float:
    run = store.runs.last()
    assert run is not None
    return run.seconds


def test_the_time_between_two_starts_is_no_work(store: Store) -> None:
    store.runs.begin("starter", now=100.0)
    first = WorkClock(store, worked(store), 100.0)
    first.tick(102.0)
    first.note()
    second = WorkClock(store, worked(store), 9000.0)
    second.tick(9003.0)
    second.note()
    assert worked(store) == pytest.approx(5.0)


def test_work_is_noted_every_few_seconds_and_a_suspended_machine_does_none(store: Store) -> None:
    store.runs.begin("starter", now=0.0)
    clock = WorkClock(store, 0.0, 0.0)
    clock.tick(NOTE_SECONDS - 1)
    assert worked(store) == 0.0
    clock.tick(NOTE_SECONDS)
    assert worked(store) == NOTE_SECONDS
    clock.tick(90_000.0)
    assert worked(store) == NOTE_SECONDS + MAX_LOOK_SECONDS
    clock.tick(80_000.0)  # the clock was set
    assert clock.seconds == NOTE_SECONDS + MAX_LOOK_SECONDS
