"""A copy that multiplies in bfloat16 draws nearly what the policy would, and says what it does."""

import logging
from pathlib import Path

import pytest
import torch

from tests.support.tiny import save_tiny_policy
from tests.trainer.conftest import SAMPLING, disturb, load
from trainer.policy.logps import logps_under
from trainer.policy.policy import LIVE, Policy
from trainer.sampling import local
from trainer.sampling.local import LocalSampler
from trainer.sampling.merged import MergedCopy, copy_bytes
from trainer.sampling.precision import TRIAL_TEXT, chosen, divergence
from trainer.sampling.samples import Response

PROMPTS = [[3, 20, 30, 0, 4], [3, 0, 4], [3, 9, 8, 7, 6, 5, 0, 4]]
BF16 = torch.bfloat16


def drawn(policy: Policy, sampler: LocalSampler, seed: int = 1) -> list[tuple[Response, ...]]:
    return sampler.draw(LIVE, PROMPTS * 4, SAMPLING, seed=seed)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2", "gemma2"])
def test_log_probabilities_drawn_in_bfloat16_are_those_of_the_policy_to_its_rounding(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One is rounded by 2^-9 in each product: 0.01 nats a token are ten times what came out."""
    caplog.set_level(logging.INFO)
    policy = load(save_tiny_policy(tmp_path, kind))
    disturb(policy, LIVE, scale=0.2)
    sampler = LocalSampler(policy, dtype="bfloat16")
    answers = drawn(policy, sampler)
    assert answers == drawn(policy, sampler)
    pairs = [
        (prompt, a.tokens, b.tokens) for prompt, (a, b) in zip(PROMPTS * 4, answers, strict=True)
    ]
    own = logps_under(policy, LIVE, pairs)
    found = torch.tensor([[response.logp for response in pair] for pair in answers])
    tokens = torch.tensor([[len(response.tokens) for response in pair] for pair in answers])
    assert (found - own).abs().div(tokens).max() < 0.01
    assert not torch.allclose(found, own, atol=1e-5), "or it was drawn in float32"
    assert {response.dtype for pair in answers for response in pair} == {BF16}
    assert "drawn in bfloat16" in caplog.text


def test_a_rounded_copy_has_all_its_linear_layers_in_bfloat16_and_the_rest_as_it_was(
    policy: Policy,
) -> None:
    base = policy.model.get_base_model()
    copy = MergedCopy(policy.model, BF16)
    layers = dict(copy.model.named_modules())
    assert layers["lm_head"].weight.dtype == BF16
    assert layers["model.layers.1.mlp.down_proj"].weight.dtype == BF16
    assert layers["model.norm"].weight.dtype == torch.float32
    assert base.lm_head.weight.dtype == torch.float32
    weights = 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64) + base.lm_head.weight.numel()
    assert copy_bytes(policy.model, BF16) == 2 * weights


def test_the_divergence_is_that_of_the_two_distributions_at_the_temperature(
    policy: Policy,
) -> None:
    disturb(policy, LIVE, scale=0.2)
    copy = MergedCopy(policy.model, BF16)
    copy.refresh(LIVE)
    ids = torch.tensor([policy.tokenizer(TRIAL_TEXT).input_ids])[:, : policy.context_tokens]
    with torch.no_grad(), policy.adapter(LIVE):
        p = (copy.model(ids).logits / 0.5).softmax(-1)
        q = (policy.model(ids).logits / 0.5).softmax(-1)
    expected = (p * (p / q).log()).sum(-1).mean().item()
    found = divergence(policy, copy.model, LIVE, temperature=0.5)
    assert found == pytest.approx(expected, rel=0.05)
    assert divergence(policy, copy.model, None, temperature=0.5) > 10 * found
    exact = MergedCopy(policy.model)
    exact.refresh(LIVE)
    assert abs(divergence(policy, exact.model, LIVE, temperature=0.5)) < 0.1 * found


def test_a_small_model_stays_as_it_is(policy: Policy) -> None:
    assert chosen(policy, "auto") is None
    assert chosen(policy, "float32") is None
    assert chosen(policy, "bfloat16") == BF16
    assert {
        response.dtype for pair in drawn(policy, LocalSampler(policy)) for response in pair
    } == {None}


@pytest.mark.parametrize(("pays", "dtype"), [(False, None), (True, BF16)])
def test_one_that_is_faster_in_bfloat16_is_sampled_in_it(
    pays: bool, dtype: torch.dtype | None, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.sampling.precision.rounding_pays", lambda base: pays)
    assert chosen(policy, "auto") == dtype


def test_a_model_that_rounding_would_change_too_much_stays_as_it_is(
    policy: Policy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "chosen", lambda policy, wanted: BF16)
    monkeypatch.setattr(local, "MAX_KL", 0.0)
    caplog.set_level(logging.INFO)
    pairs = drawn(policy, LocalSampler(policy))
    assert {response.dtype for pair in pairs for response in pair} == {None}
    assert "not drawn in bfloat16" in caplog.text
