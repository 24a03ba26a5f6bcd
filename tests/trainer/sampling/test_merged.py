"""The merged copy computes what peft computes, follows the adapter, and shares what it can."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.tiny import save_tiny_policy
from tests.trainer.conftest import disturb, load
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.merged import MergedCopy, copy_bytes, copy_fits

IDS = torch.tensor([[3, 20, 30, 0, 4, 50, 60]])


@torch.no_grad()
def under(policy: Policy, adapter: str) -> Tensor:
    with policy.adapter(adapter):
        logits: Tensor = policy.model(IDS).logits
        return logits


@torch.no_grad()
def logits_of(copy: MergedCopy) -> Tensor:
    logits: Tensor = copy.model(IDS).logits
    return logits


def close(a: Tensor, b: Tensor) -> bool:
    """To float32 rounding: W x + s B (A x) against (W + s B A) x, in two layers."""
    return bool((a - b).abs().max() < 1e-5 * b.abs().max())


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2", "gemma2"])
def test_the_copy_gives_the_logits_of_the_adapter(kind: str, tmp_path: Path) -> None:
    policy = load(save_tiny_policy(tmp_path, kind))
    disturb(policy, LIVE, scale=0.2)
    copy = MergedCopy(policy.model)
    copy.refresh(LIVE)
    with torch.no_grad(), policy.reference():
        reference = policy.model(IDS).logits
    assert not close(reference, under(policy, LIVE))
    assert close(logits_of(copy), under(policy, LIVE))


def test_in_bfloat16_a_merged_weight_is_the_float32_sum_rounded_once(tiny_policy: Path) -> None:
    policy = load(tiny_policy, dtype="bfloat16")
    disturb(policy, LIVE, scale=0.2)
    copy = MergedCopy(policy.model)
    copy.refresh(LIVE)
    source = policy.model.get_base_model().model.layers[1].mlp.down_proj
    a, b = source.lora_A[LIVE].weight.float(), source.lora_B[LIVE].weight.float()
    expected = source.base_layer.weight.float() + source.scaling[LIVE] * b @ a
    merged = copy.model.model.layers[1].mlp.down_proj.weight
    assert merged.dtype == torch.bfloat16
    # A sum may differ in its last float32 bit, and so, rarely, round to the next bfloat16.
    assert (merged.to_dense().float() - expected).abs().max() <= 2**-8 * expected.abs().max()


def test_a_changed_adapter_is_taken_over_and_an_unchanged_one_costs_nothing(policy: Policy) -> None:
    copy = MergedCopy(policy.model)
    assert copy.refresh(LIVE)
    assert not copy.refresh(LIVE)
    for seed in (1, 2):
        disturb(policy, CANDIDATE, scale=0.2, seed=seed)
        policy.copy_adapter(CANDIDATE, LIVE)
        assert not copy.holds(LIVE)
        assert copy.refresh(LIVE)
        assert copy.holds(LIVE)
        assert close(logits_of(copy), under(policy, LIVE))


def test_an_adapter_that_is_loaded_in_place_is_noticed(policy: Policy) -> None:
    disturb(policy, CANDIDATE, scale=0.2)
    copy = MergedCopy(policy.model)
    copy.refresh(LIVE)
    policy.set_adapter_state(LIVE, policy.adapter_state(CANDIDATE))
    assert copy.refresh(LIVE)
    assert close(logits_of(copy), under(policy, CANDIDATE))


def test_many_swaps_leave_the_reference_as_it_was(policy: Policy) -> None:
    copy = MergedCopy(policy.model)
    before = logits_of(copy)
    for seed in range(20):
        disturb(policy, LIVE, scale=0.2, seed=seed)
        copy.refresh(LIVE)
    copy.refresh(None)
    assert torch.equal(logits_of(copy), before)
    with torch.no_grad(), policy.reference():
        assert close(before, policy.model(IDS).logits)


def test_only_the_weights_that_adapters_change_are_copied(policy: Policy) -> None:
    base = {tensor.data_ptr() for tensor in policy.model.parameters()}
    copy = MergedCopy(policy.model)
    copy.refresh(LIVE)
    shared = [weight for weight in copy.model.parameters() if weight.data_ptr() in base]
    assert len(shared) == len(list(copy.model.parameters()))
    projections = 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64)  # two layers: q o, k v, the MLP
    assert copy_bytes(policy.model) == 4 * projections


def test_a_copy_needs_twice_its_size_of_free_memory(policy: Policy) -> None:
    size = copy_bytes(policy.model)
    assert copy_fits(policy.model, 2 * size)
    assert not copy_fits(policy.model, 2 * size - 1)


def test_the_copy_has_its_own_configuration_and_does_not_train(policy: Policy) -> None:
    copy = MergedCopy(policy.model)
    copy.model.config._attn_implementation = "eager"
    assert policy.model.config._attn_implementation == "sdpa"
    assert not copy.model.training
    assert not any(weight.requires_grad for weight in copy.model.parameters())
