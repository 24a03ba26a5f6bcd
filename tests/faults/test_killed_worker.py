"""kill -9 of the worker at every point of an update, and of an unattended run in every phase.

Labels count once, never is there half a version, and the judge judges no pair twice.
"""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from labeler.config.load import as_environment
from labeler.config.settings import Settings
from labeler.domain.states import UpdateState
from labeler.roles.holding import Holding
from labeler.store import Store, open_store
from labeler.store.holders import TRAINER
from tests.support.dying_role import run_with
from tests.support.empty_store import new_store
from tests.support.forks import PROCESSES
from tests.support.service import settings_environment
from tests.support.store import last_update, live
from tests.support.tiny import worker_settings
from tests.support.worker import PROMPTS, HandTurned
from tests.trainer.conftest import load
from trainer.policy.adapters import read_adapter
from trainer.worker.main import alone, take_over

N = 4
NOW = 2_000.0  # of a hold: its beats are counted, so that is any time
LABELS = 12


def settings_for(policy: Path, data_dir: Path) -> Settings:
    return worker_settings(policy, data_dir, queue_pairs=8, max_new_tokens=8, threads=1)


def run_dying_worker(settings: Settings, point: str) -> int:
    """The exit code of a worker that kills itself at this point."""
    environment = settings_environment() | as_environment(settings)
    worker = PROCESSES.Process(target=run_with, args=(environment, point))
    worker.start()
    worker.join()
    assert worker.exitcode is not None
    return worker.exitcode


def fresh_worker(store: Store, settings: Settings) -> HandTurned:
    policy = load(Path(settings.policy), lora_alpha=settings.lora_alpha)
    holding = Holding(store, TRAINER, holder="worker")
    with alone(settings, store) as is_alone:
        assert is_alone
        held = holding.turn(NOW, alone=True)
        assert held, "the dead one's hold keeps nobody waiting"
        take_over(store, holding.token)
    return HandTurned(store, policy, settings, name=holding.token, clock=time.time)


@pytest.mark.parametrize(
    ("point", "live_after_the_kill"),
    [
        ("claimed", 0),
        ("training", 0),
        ("trained", 0),
        ("renamed", 0),
        ("gating", 0),
        ("before commit", 0),
        ("after commit", 1),
    ],
)
def test_labels_count_once_and_the_old_or_the_new_version_is_live(
    point: str, live_after_the_kill: int, tiny_policy: Path, tmp_path: Path
) -> None:
    settings = settings_for(tiny_policy, tmp_path)
    store = new_store(settings.database_url)
    fresh_worker(store, settings).make_due()

    assert run_dying_worker(settings, point) == -9
    assert live(store).id == live_after_the_kill

    survivor = fresh_worker(store, settings)
    survivor.step()
    version = live(store)
    assert (version.id, version.finding.labels) == (1, N)
    assert read_adapter(settings.adapters_dir / str(version.folder), str(version.sha256))
    assert [path.name for path in settings.adapters_dir.iterdir()] == ["v0001"]
    status = store.reports.status(max_staleness=2)
    assert status["updates"] == {"done": 1, "rejected": 0, "failed": 0, "running": 0}
    assert status["labels"] == {"human": N, "judge": 0, "fresh": 0, "used": N}
    used = [row.vote.used_in_update for row in store.reports.votes()]
    assert used == [1] * N, json.dumps(used)


def test_a_data_dir_that_was_moved_after_a_kill_goes_on_at_once(
    tiny_policy: Path, tmp_path: Path
) -> None:
    """Nothing that says who holds the update names a path or a host."""
    before = settings_for(tiny_policy, tmp_path / "before")
    store = open_store(before.database_url)
    fresh_worker(store, before).make_due()
    assert run_dying_worker(before, "training") == -9
    store.close()

    moved = settings_for(tiny_policy, before.data_dir.rename(tmp_path / "after"))
    store = open_store(moved.database_url)
    assert fresh_worker(store, moved).step()
    update = last_update(store)
    assert (update.state, update.attempt) == (UpdateState.PROMOTED, 2)
    assert store.reports.status(max_staleness=2)["labels"]["used"] == N
    store.close()


def judging_settings(policy: Path, data_dir: Path) -> Settings:
    return worker_settings(
        policy,
        data_dir,
        judge="py:tests.support.judges:steady",
        unattended=True,
        judge_check_share=0.0,
        max_labels=LABELS,
        max_new_tokens=8,
        threads=1,
    )


def judged(store: Store) -> dict[str, int]:
    """The pair of each of the judge's labels."""
    return {row.vote.id: row.vote.pair_id for row in store.reports.votes()}


@pytest.mark.parametrize(
    "point",
    [
        "sampled",
        "judged",
        "verdicts written",
        "labelled",
        "training",
        "gating",
        "before commit",
    ],
)
def test_a_run_that_was_killed_ends_with_the_same_number_of_labels(
    point: str, tiny_policy: Path, tmp_path: Path
) -> None:
    settings = judging_settings(tiny_policy, tmp_path)
    store = new_store(settings.database_url)
    store.prompts.add(PROMPTS, now=1.0)
    assert run_dying_worker(settings, point) == -9
    before = judged(store)

    survivor = fresh_worker(store, settings)
    while survivor.step() or store.updates.open_if_due(settings.due_rules, now=time.time()):
        pass
    survivor.close()

    after = judged(store)
    assert before.items() <= after.items(), "a label was lost"
    assert len(after) == LABELS
    assert set(Counter(after.values()).values()) == {1}, "a pair was judged twice"
    status = store.reports.status(max_staleness=2)
    assert status["labels"]["judge"] == LABELS
    assert status["judge"]["verdicts"] == status["judge"]["labels"] == LABELS
    assert status["updates"]["done"] >= 2
    store.close()
