"""The gate on real updates of the starter: each planted bad one is held back, good ones pass.

All are of the same labels, for it takes long to sample their pairs.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from labeler.config.load import load_settings
from labeler.domain.adapter_folder import DamagedCheckpointError, verify
from labeler.domain.labels import TrainingLabel
from labeler.store.tables import PolicyVersion
from tests.support.loop import Loop, Plant, faster, flipped, planted, sure
from tests.support.store import live as live_version


def few(labels: Sequence[TrainingLabel]) -> list[TrainingLabel]:
    """Enough for a fault that shows at once."""
    return list(labels[:16])


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """The starter with an update that is due, on 48 labels of a rater who is sure of the score."""
    flags = {
        "data_dir": tmp_path_factory.mktemp("run"),
        "labels_per_update": 48,
        "judge": "starter",
        "gate_prompts": 32,
        # Far enough for a fault to show, in one update of votes alone.
        "fill": 0,
        "learning_rate": 3e-3,
        "passes": 4,
        "batch_pairs": 32,
        "beta": 0.3,
    }
    running = Loop(load_settings(flags, {}), sure)
    running.label()
    yield running
    running.store.close()


@pytest.mark.parametrize(
    ("plant", "prompts", "says"),
    [
        (Plant("flipped", labels=flipped, training=faster(3)), 32, "the judge prefers it in"),
        (Plant("rate", labels=few, training=faster(100)), 8, "nats a token away"),
        (Plant("NaN", labels=few, nan=True), 8, "a weight is infinite or NaN"),
    ],
    ids=lambda value: value.name if isinstance(value, Plant) else None,
)
def test_a_planted_bad_update_is_kept_back(
    loop: Loop, plant: Plant, prompts: int, says: str
) -> None:
    finding = planted(loop, plant, prompts=prompts)
    assert says in "; ".join(finding.objections)


@pytest.fixture(scope="module")
def live(loop: Loop) -> PolicyVersion:
    """What became live by the update itself."""
    loop.update()
    return live_version(loop.store)


def test_a_good_update_passes(live: PolicyVersion) -> None:
    assert live.id == 1
    assert live.finding.win_rate.count == 2 * 32  # two responses to each prompt


def test_a_truncated_file_never_becomes_live(
    loop: Loop, live: PolicyVersion, tmp_path: Path
) -> None:
    folder = loop.settings.adapters_dir / str(live.folder)
    copy = tmp_path / "v0001"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    verify(copy, str(live.sha256))
    weights = copy / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DamagedCheckpointError, match="v0001"):
        verify(copy, str(live.sha256))
