"""What ends an unattended run, in one process: the worker is turned by hand, the clock jumps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labeler.config.settings import Settings
from labeler.roles.unattended import run as unattended
from labeler.roles.unattended.ending import Ending
from labeler.roles.unattended.run import Unattended, settings_for_judge
from labeler.store import Store
from tests.support.tiny import worker_settings
from tests.support.worker import HandTurned
from tests.trainer.conftest import load

MAX_TURNS = 1000

RunToEnd = Callable[..., Ending]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run starts no processes: the worker is in this one."""
    monkeypatch.setattr(unattended, "ROLES", ())


@pytest.fixture
def run_to_end(alone: None, store: Store, tiny_policy: Path, tmp_path: Path) -> RunToEnd:
    """Let the judge label and the worker learn until the run ends."""

    def run(**changed: Any) -> Ending:
        settings = settings_for_judge(worker_settings(tiny_policy, tmp_path, threads=1, **changed))
        worker = HandTurned(store, load(tiny_policy), settings)
        judged = Unattended(settings, store, print, worker.clock())
        for _ in range(MAX_TURNS):
            found = judged.step(worker.clock())
            if isinstance(found, Ending):
                judged.end(found)
                worker.close()
                return found
            worker.step()
            store.updates.open_if_due(settings.due_rules, now=worker.clock())
        raise AssertionError("it does not end")

    return run


def facts(store: Store, ending: Ending) -> Any:
    return store.reports.run_facts(
        reason=ending.reason, alarmed=not ending.success, policy="tiny", options=""
    )


def test_updates_that_the_gate_refuses_end_the_run_with_its_reason(
    run_to_end: RunToEnd, store: Store
) -> None:
    ending = run_to_end(
        judge="py:tests.support.judges:steady",
        gate_max_kl_live=1e-9,
        learning_rate=0.1,
        passes=30,
        stop_rejected=2,
        candidates=4,
    )
    assert not ending.success
    assert "None of the last 2 updates went live" in ending.reason
    assert "nats a token away from the live version" in ending.reason
    found = facts(store, ending)
    assert found.alarmed
    refused = found.versions[-2:]
    assert [version.state for version in refused] == ["rejected"] * 2
    assert found.live not in [version.number for version in refused]
    for row in store.reports.votes():
        drawn = row.pair.sampling
        assert (drawn["candidates"], drawn["candidate_pair"]) == (4, "best_worst")


def test_a_judge_that_never_says_anything_ends_the_run(run_to_end: RunToEnd, store: Store) -> None:
    ending = run_to_end(judge="py:tests.support.judges:absent", stop_stalled_seconds=1.0)
    assert not ending.success
    assert "There was no progress for 1 seconds" in ending.reason
    assert "The judge gave no verdict on" in ending.reason
    assert "unclear" in ending.reason
    assert facts(store, ending).labels == 0


def test_hours_of_work_count_over_an_interruption(
    alone: None, store: Store, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, judge="starter", max_hours=1.0)
    first = Unattended(settings, store, print, 0.0)
    assert first.step(0.0) is None
    for minute in range(1, 50):
        assert first.step(60.0 * minute) is None
    first.end(None)
    begin = 1e6
    second = Unattended(settings, store, print, begin)
    for minute in range(1, 11):
        assert second.step(begin + 60.0 * minute) is None
    ending = second.step(begin + 660.0)
    assert ending == Ending("The budget of 1 hours is spent.", success=True)
    second.end(ending)
    run = store.runs.last()
    assert run is not None
    assert run.seconds == 60.0 * 60
    assert run.ended_at is not None
