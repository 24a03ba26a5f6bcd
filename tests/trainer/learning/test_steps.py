"""Steps that are measured: how far an update moves a policy, whatever the policy is."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from tests.trainer.conftest import load
from trainer.fast.layout import TokenPair
from trainer.learning.reach import made_up, slowed, weighted
from trainer.learning.steps import STANDS_OUT, MeasuredSteps
from trainer.learning.update import Step, train
from trainer.policy.logps import pair_logps, response_logps
from trainer.policy.policy import CANDIDATE, LIVE, Policy

MEASURED = Training(passes=3, batch_pairs=2)
SURE = 32.0  # a power of 2, which is not rounded


def token_logps(policy: Policy, adapter: str, labels: list[TrainingLabel]) -> Tensor:
    pairs = [(label.prompt_tokens, label.tokens_a, label.tokens_b) for label in labels]
    with torch.no_grad(), policy.adapter(adapter):
        return response_logps(policy, pairs)


def moved(policy: Policy, labels: list[TrainingLabel]) -> float:
    """How far the candidate is from the live version: sqrt(2 KL), KL in nats a token."""
    live, candidate = (token_logps(policy, name, labels) for name in (LIVE, CANDIDATE))
    return (candidate - live).square().mean().sqrt().item()


def run(policy: Policy, labels: list[TrainingLabel], settings: Training) -> list[Step]:
    return list(train(policy, labels, settings, seed=0))


@pytest.mark.parametrize("kl", [1e-4, 1e-2])
@pytest.mark.parametrize("alpha", [1.0, 64.0])
def test_an_update_moves_a_policy_as_far_as_it_may_and_no_further(
    tiny_policy: Path, labels: list[TrainingLabel], kl: float, alpha: float
) -> None:
    """The adapters of `alpha` 64 are scaled 64 times as much as those of 1."""
    policy = load(tiny_policy, lora_alpha=alpha)
    run(policy, labels, Training(**MEASURED.model_dump() | {"update_kl": kl}))
    goal = math.sqrt(2 * kl)
    assert 0.5 * goal < moved(policy, labels) < 1.3 * goal


@pytest.mark.parametrize("kl", [2e-4, 1e-3])
def test_on_a_bfloat16_base_it_goes_as_far_though_rounding_is_more_than_a_step(
    tiny_policy: Path, labels: list[TrainingLabel], kl: float
) -> None:
    """Of words as sure as a trained model's, so that rounding moves their log-probabilities by
    0.012, and the goal is 0.020 or 0.045. How far it went is told by the same weights in float32.

    A goal of a KL of 1e-4 is 0.014, about as much as rounding: there it goes 0.4 to 0.9 of its way.
    """
    policy = load(tiny_policy, dtype="bfloat16")
    policy.model.get_base_model().model.norm.weight.data *= SURE
    run(policy, labels, Training(**MEASURED.model_dump() | {"update_kl": kl}))
    exact = load(tiny_policy)
    for parameter in exact.model.get_base_model().parameters():
        parameter.data = parameter.data.bfloat16().float()
    exact.model.get_base_model().model.norm.weight.data *= SURE
    for name in (LIVE, CANDIDATE):
        for own, there in zip(exact.parameters(name), policy.parameters(name), strict=True):
            own.data = there.data.clone()
    goal = math.sqrt(2 * kl)
    assert 0.5 * goal < moved(exact, labels) < 1.5 * goal


def test_a_bfloat16_base_is_measured_three_times_a_step(
    tiny_policy: Path, labels: list[TrainingLabel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the step is proposed, mostly once, and when it is shortened: what stood out, and not what
    it was shortened to, is where the next one begins.
    """
    measured = 0

    def counted(policy: Policy, pairs: Sequence[TokenPair]) -> Tensor:
        nonlocal measured
        measured += 1
        return response_logps(policy, pairs)

    monkeypatch.setattr("trainer.learning.steps.response_logps", counted)
    policy = load(tiny_policy, dtype="bfloat16")
    steps = run(policy, labels, Training(**MEASURED.model_dump() | {"update_kl": 1e-3}))
    assert measured <= 3 * len(steps) * len(labels)


def test_a_step_that_never_stands_out_from_rounding_is_not_made_longer_than_it_may_be(
    tiny_policy: Path, labels: list[TrainingLabel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.learning.steps.MAX_RATE", 1e-5)
    policy = load(tiny_policy, dtype="bfloat16")
    policy.model.get_base_model().model.norm.weight.data *= SURE
    steps = run(policy, labels, Training(**MEASURED.model_dump() | {"update_kl": 0.1}))
    assert max(step.learning_rate for step in steps) < 1.01e-5


def test_a_step_that_broke_as_it_was_shortened_makes_the_next_no_longer(
    tiny_policy: Path, labels: list[TrainingLabel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An infinite part of rounding, taken off, would leave any step no length at all."""
    found = iter([0.0, STANDS_OUT, math.inf])
    monkeypatch.setattr(
        "trainer.learning.steps.response_logps",
        lambda policy, pairs: torch.full((4,), next(found, 0.0)),
    )
    policy = load(tiny_policy, dtype="bfloat16")
    optimizer = torch.optim.AdamW(policy.parameters(CANDIDATE))
    steps = MeasuredSteps(policy, optimizer, [labels[0].tokens], kl=1e-3)
    assert steps.step(left=2) > steps.step(left=1)


def test_a_step_half_as_long_is_a_quarter_of_the_kl_or_half_the_rate() -> None:
    assert slowed(MEASURED, 0.5).update_kl == MEASURED.update_kl / 4
    given = Training(learning_rate=1e-2)
    assert slowed(given, 0.5) == given.model_copy(update={"learning_rate": 5e-3})


@pytest.mark.parametrize(
    ("share", "kl", "rate"), [(0.25, 0.25, 5e-3), (1, 1, 1e-2), (2.25, 2.25, 1e-2), (9, 4, 1e-2)]
)
def test_labels_that_weigh_more_go_further_and_less_in_shorter_steps(
    share: float, kl: float, rate: float
) -> None:
    assert weighted(MEASURED, share).update_kl == pytest.approx(kl * MEASURED.update_kl)
    given = weighted(Training(learning_rate=1e-2), share)
    assert given.learning_rate == pytest.approx(rate)


def test_fewer_pairs_than_usual_are_made_up_for_by_more_passes_at_a_given_rate() -> None:
    given = Training(learning_rate=1e-3, passes=2)
    passes = [made_up(given, pairs, 144).passes for pairs in (144, 100, 72, 40, 16, 200)]
    assert passes == [2, 2, 4, 8, 8, 2]
    assert made_up(MEASURED, 16, 144) == MEASURED


def test_the_rate_that_it_came_to_is_told(policy: Policy, labels: list[TrainingLabel]) -> None:
    steps = run(policy, labels, MEASURED)
    assert all(0 < step.learning_rate <= 0.05 for step in steps)
    steps = run(policy, labels, Training(learning_rate=1e-3))
    assert {step.learning_rate for step in steps} == {1e-3}


def test_a_policy_with_very_sure_words_is_not_broken(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    """The head's weights a hundred times as large: the smallest step changes a lot."""
    with torch.no_grad():
        policy.model.get_output_embeddings().weight *= 100
    sure = [replace(label, reference_logp_a=0.0, reference_logp_b=0.0) for label in labels]
    run(policy, sure, MEASURED)
    assert moved(policy, labels) < 3 * math.sqrt(2 * MEASURED.update_kl)


def test_log_probabilities_of_tokens_add_up_to_those_of_responses(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    pairs = [(label.prompt_tokens, label.tokens_a, label.tokens_b) for label in labels]
    for packs in (True, False):
        policy.packs = packs
        with torch.no_grad(), policy.adapter(LIVE):
            tokens, sums = response_logps(policy, pairs), pair_logps(policy, pairs)
        assert len(tokens) == sum(len(a) + len(b) for _, a, b in pairs)
        assert tokens.sum().item() == pytest.approx(sums.sum().item(), rel=1e-4)
