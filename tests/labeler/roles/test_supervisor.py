"""The supervisor's own rules; its processes are tested in tests/faults."""

from pathlib import Path

from labeler.config.settings import Settings
from labeler.roles.supervisor import (
    DEATHS_BEFORE_ALARM,
    DEATHS_WINDOW_SECONDS,
    MAX_BACKOFF_SECONDS,
    Child,
    Supervisor,
)
from labeler.store import open_store
from tests.support.store import alarms
from tests.support.tiny import fill


def die(child: Child, now: float) -> float:
    """One death; how long until the next start."""
    child._note_death(now)
    return child.start_at - now


def test_the_wait_before_a_restart_doubles_up_to_a_limit_and_begins_anew_after_calm() -> None:
    child = Child("worker", {})
    waits = [die(child, 1000.0) for _ in range(9)]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waits[-1] == MAX_BACKOFF_SECONDS
    assert die(child, 1000.0 + DEATHS_WINDOW_SECONDS) == 0.5


def test_repeated_deaths_raise_an_alarm_that_ends_after_calm(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'x.sqlite'}")
    supervisor = Supervisor(Settings(data_dir=tmp_path), store, print, ["worker"])
    child = Child("worker", {})
    for number in range(DEATHS_BEFORE_ALARM):
        assert alarms(store) == []
        die(child, 1000.0 + number)
        supervisor._report_death(child, -9, 1000.0 + number)
    assert "died 3 times" in alarms(store)[0]
    assert not child.is_calm(1010.0)
    assert child.is_calm(1100.0)


def test_a_database_that_takes_no_alarm_is_said_and_does_not_end_the_service(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.sqlite"
    fill(open_store(f"sqlite:///{path}"), 1)
    read_only = open_store(f"sqlite:///file:{path}?mode=ro&uri=true")
    said: list[str] = []
    supervisor = Supervisor(Settings(data_dir=tmp_path), read_only, said.append, ["worker"])
    child = Child("worker", {})
    for number in range(DEATHS_BEFORE_ALARM):
        die(child, 1000.0 + number)
        supervisor._report_death(child, -9, 1000.0 + number)
    supervisor.shut_down()
    assert sum("read-only" in line for line in said) >= 1
