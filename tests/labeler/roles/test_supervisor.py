"""The supervisor's own rules; its processes are tested in tests/faults."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError
from labeler.roles.supervisor import MAX_BACKOFF_SECONDS, SETTLED_SECONDS, Child, Supervisor
from labeler.roles.unattended.ending import Patience
from labeler.store import Store, open_store
from tests.support.store import alarms
from tests.support.tiny import fill

HOUR = 3600


class MadeUpProcess:
    """A process that lives for as long as a test says."""

    pid = 1

    def __init__(self, *_: object, **__: object) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        """The exit code, once it has ended."""
        return self.code

    def terminate(self) -> None:
        """End."""
        self.code = 0

    def wait(self, timeout: float | None = None) -> int:
        """It ends at once."""
        return 0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{tmp_path / 'x.sqlite'}")) as opened:
        yield opened


@pytest.fixture
def supervisor(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """One with a worker that is made up."""
    monkeypatch.setattr(subprocess, "Popen", MadeUpProcess)
    return Supervisor(Settings(data_dir=tmp_path), store, lambda _: None, ["worker"])


def worker_of(supervisor: Supervisor) -> Child:
    return supervisor._children["worker"]


def die_after(supervisor: Supervisor, life: float, now: float) -> float:
    """The worker is started when that is due, lives for so long and dies; the time of its death."""
    worker = worker_of(supervisor)
    now = max(now, worker.start_at)
    supervisor.step(now)
    process: Any = worker.process
    process.code = -9
    supervisor.step(now + life)
    return now + life


def alive_again(supervisor: Supervisor) -> float:
    """After three deaths, of which there is an alarm; the time of its start."""
    now = 0.0
    for _ in range(3):
        now = die_after(supervisor, 10.0, now)
    now = worker_of(supervisor).start_at
    supervisor.step(now)
    return now


def test_the_wait_before_a_restart_doubles_up_to_a_limit_and_begins_anew_after_a_long_life(
    supervisor: Supervisor,
) -> None:
    now, waits, worker = 0.0, [], worker_of(supervisor)
    for _ in range(2000):  # a night of them
        now = die_after(supervisor, 10.0, now)
        waits.append(worker.start_at - now)
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert set(waits[6:]) == {MAX_BACKOFF_SECONDS}
    now = die_after(supervisor, SETTLED_SECONDS, now)
    assert worker.start_at - now == 0.5


@pytest.mark.parametrize("life", [1.0, 35.0, 90.0, SETTLED_SECONDS - 1])
def test_a_process_that_keeps_dying_stays_under_an_alarm_and_ends_an_unattended_run(
    supervisor: Supervisor, store: Store, life: float
) -> None:
    now, worker, patience = 0.0, worker_of(supervisor), Patience(limit_seconds=600.0, begun=0.0)
    rules = Settings().due_rules
    for _ in range(3):
        assert alarms(store) == []
        now = die_after(supervisor, life, now)
    alarmed_at = now
    assert "died 3 times in a row, each time within 3 minutes of its start" in alarms(store)[0]
    ending = None
    while ending is None and now < 4 * HOUR:
        process: Any = worker.process
        if process is not None and now - worker.started_at >= life:
            process.code = -9
        supervisor.step(now)
        assert alarms(store)
        ending = patience.lost(store.reports.loop(rules, ended=1, since=0.0), now)
        now += 1.0
    assert ending is not None
    assert now - alarmed_at < 700.0


def test_the_alarm_of_one_that_died_ends_once_it_has_lived_for_long(
    supervisor: Supervisor, store: Store
) -> None:
    now = alive_again(supervisor)
    supervisor.step(now + SETTLED_SECONDS - 1)
    assert alarms(store)
    supervisor.step(now + SETTLED_SECONDS)
    assert not alarms(store)


def test_an_alarm_that_could_not_be_taken_back_is_taken_back_later(
    supervisor: Supervisor, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = alive_again(supervisor)
    with monkeypatch.context() as full:
        full.setattr(store.processes, "alarm", refuse)
        supervisor.step(now + SETTLED_SECONDS)
    assert alarms(store)
    supervisor.step(now + SETTLED_SECONDS + 1)
    assert not alarms(store)


def refuse(*_: object) -> None:
    """As a database on a full disk."""
    raise LivedpoError("The disk is full.")


def test_a_database_that_takes_no_alarm_is_said_and_does_not_end_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.sqlite"
    fill(open_store(f"sqlite:///{path}"), 1)
    monkeypatch.setattr(subprocess, "Popen", MadeUpProcess)
    read_only = open_store(f"sqlite:///file:{path}?mode=ro&uri=true")
    said: list[str] = []
    supervisor = Supervisor(Settings(data_dir=tmp_path), read_only, said.append, ["worker"])
    alive_again(supervisor)
    supervisor.shut_down()
    assert sum("read-only" in line for line in said) >= 1
