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


def weights_of(policy: Policy, copy: MergedCopy) -> tuple[Tensor, Tensor, Tensor]:
    """Of one layer: the base's, base and adapter in float32, and the copy's."""
    source = policy.model.get_base_model().model.layers[1].mlp.down_proj
    a, b = source.lora_A[LIVE].weight.float(), source.lora_B[LIVE].weight.float()
    base = source.base_layer.weight.float()
    merged = copy.model.model.layers[1].mlp.down_proj.weight
    assert merged.dtype == torch.bfloat16
    return base, base + source.scaling[LIVE] * b @ a, merged.to_dense().float()


@pytest.mark.parametrize("base_dtype", ["bfloat16", "float32"])
def test_what_a_small_update_adds_to_bfloat16_is_there_on_average(
    tiny_policy: Path, base_dtype: str
) -> None:
    """A base on the grid of bfloat16, kept in either dtype, and a change far below its spacing.

    A weight is off by e, of deviation spacing / 2 at most. The slope of what came of the change d
    is 1 + sum(e d) / sum(d^2).
    """
    policy = load(tiny_policy, dtype=base_dtype)
    for parameter in policy.model.get_base_model().parameters():
        parameter.data = parameter.data.bfloat16().to(parameter.dtype)
    disturb(policy, LIVE, scale=0.002)
    copy = MergedCopy(policy.model, torch.bfloat16)
    copy.refresh(LIVE)
    base, wanted, merged = weights_of(policy, copy)
    change = wanted - base
    spacing = 2**-7 * 2.0 ** base.abs().log2().floor()
    assert (change.abs() < spacing / 2).float().mean() > 0.8  # which the nearest number drops
    nearest = (wanted.bfloat16().float() - base) * change
    assert nearest.sum() / change.square().sum() < 0.6
    assert ((merged - wanted).abs() < 2 * spacing).all()
    slope = ((merged - base) * change).sum() / change.square().sum()
    deviation = (spacing * change).square().sum().sqrt() / 2 / change.square().sum()
    assert abs(slope - 1) < 4 * deviation < 0.5


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


def test_a_refresh_that_a_pause_ends_is_done_anew(policy: Policy) -> None:
    copy, pauses = MergedCopy(policy.model), list[int]()

    def end_it() -> None:
        pauses.append(1)
        if len(pauses) == 3:
            raise InterruptedError

    for adapter in (LIVE, None):
        assert copy.refresh(adapter)
        disturb(policy, LIVE, scale=0.2, seed=3)
        pauses.clear()
        with pytest.raises(InterruptedError):
            copy.refresh(LIVE, end_it)
        assert not copy.holds(adapter)
        assert copy.refresh(LIVE)
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
