import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from trainer.starter import build as builder
from trainer.starter.build import build
from trainer.starter.settings import Sizes

TINY = Sizes(
    vocabulary=320,
    vocabulary_conversations=50,
    policy_width=32,
    policy_layers=2,
    policy_heads=2,
    policy_key_value_heads=1,
    policy_inner=64,
    policy_conversations=48,
    reward_layers=1,
    reward_pairs=24,
    reward_held_out_pairs=10,
    measured_prompts=4,
    max_new_tokens=8,
)


@pytest.fixture
def torch_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give back the thread count and the determinism that the build sets for its process."""
    monkeypatch.setattr(builder, "THREADS", 1)
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.mark.usefixtures("torch_settings")
def test_the_same_seed_builds_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        build(tmp_path / name / "starter", tmp_path / name / "prompts.jsonl", seed, TINY)
    first, again, other = (digests(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    changed = {name for name in first if first[name] != other[name]}
    assert {"starter/policy/model.safetensors", "starter/reward/model.safetensors"} <= changed
    assert "starter/policy/livedpo.toml" in first


def test_sizes_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="policy_heads=3"):
        Sizes(policy_heads=3)
    with pytest.raises(ValueError, match="reward_layers=9"):
        Sizes(reward_layers=9)
