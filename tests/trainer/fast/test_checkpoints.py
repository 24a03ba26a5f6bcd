"""Layers that are computed again in the backward pass."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.tiny import save_tiny_policy
from tests.trainer.conftest import disturb, load
from trainer.fast.checkpoints import compute_twice
from trainer.policy.logps import pair_logps
from trainer.policy.policy import CANDIDATE, Policy

PAIRS = [([3, 20, 21, 4], [30, 31, 32, 0], [40, 41, 0]), ([3, 22, 4], [33, 0], [42, 43, 44, 0])]


def gradients(policy: Policy) -> tuple[list[Tensor], int]:
    """Of all weights of the candidate, and the bytes that were kept for them."""
    kept = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    weights = policy.parameters(CANDIDATE)
    with policy.adapter(CANDIDATE, trains=True):
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            margin = (pair_logps(policy, PAIRS) * torch.tensor([1.0, -1.0])).sum()
        return list(torch.autograd.grad(margin, weights)), kept


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt2", "bloom"])
def test_gradients_are_the_same_and_less_is_kept(kind: str, tmp_path: Path) -> None:
    """Packed rows attend in a way of their own, which the second computation must find again."""
    policy = load(save_tiny_policy(tmp_path, kind))
    disturb(policy, CANDIDATE)
    once, kept = gradients(policy)
    assert compute_twice(policy.model.get_base_model())
    twice, kept_then = gradients(policy)
    for before, after in zip(once, twice, strict=True):
        torch.testing.assert_close(after, before)
    assert kept_then < kept / 2


def test_a_pass_without_gradients_is_not_changed(tmp_path: Path) -> None:
    policy = load(save_tiny_policy(tmp_path))
    with torch.no_grad():
        before = pair_logps(policy, PAIRS)
        compute_twice(policy.model.get_base_model())
        assert torch.equal(pair_logps(policy, PAIRS), before)
