"""kill -9 of an unattended run in every phase, then the same again: nothing lost, nothing twice."""

import time
from collections import Counter
from pathlib import Path

import pytest

from labeler.config.settings import Settings
from labeler.store import Store, open_store
from tests.faults.test_killed_worker import fresh_worker, run_dying_worker
from tests.support.tiny import EASY
from tests.trainer.worker.test_worker import PROMPTS

LABELS = 12


def settings_for(policy: Path, data_dir: Path) -> Settings:
    return Settings(
        policy=str(policy),
        data_dir=data_dir,
        judge="py:tests.support.judges:steady",
        unattended=True,
        judge_check_share=0.0,
        max_labels=LABELS,
        labels_per_update=4,
        max_new_tokens=8,
        learning_rate=1e-2,
        lora_rank=4,
        threads=1,
        **EASY,
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
    settings = settings_for(tiny_policy, tmp_path)
    store = open_store(settings.database_url)
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
