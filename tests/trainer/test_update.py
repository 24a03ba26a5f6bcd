"""An update on a tiny policy: it learns, repeats exactly, and touches nothing but the candidate."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from labeler.labels import TrainingLabel
from tests.trainer.conftest import load
from trainer.gate import objections
from trainer.policy import CANDIDATE, LIVE, Policy
from trainer.update import TrainingSettings, collate, evaluate, train

SETTINGS = TrainingSettings(
    beta=0.1, learning_rate=1e-2, passes=3, batch_pairs=2, max_grad_norm=1.0, seed=0
)


def digest(state: dict[str, Tensor]) -> str:
    return hashlib.sha256(save(state)).hexdigest()


def test_the_first_loss_is_log_two_and_then_the_labels_are_learnt(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    steps = list(train(policy, labels, SETTINGS))
    assert abs(steps[0].loss - 0.693147) < 1e-4
    assert [step.done for step in steps] == list(range(1, 7))
    assert {step.total for step in steps} == {6}
    assert evaluate(policy, LIVE, labels, batch_pairs=4) == 0.5
    assert evaluate(policy, CANDIDATE, labels, batch_pairs=4) == 1.0


def test_only_the_candidate_changes(policy: Policy, labels: list[TrainingLabel]) -> None:
    before = {name: p.clone() for name, p in policy.model.named_parameters()}
    list(train(policy, labels, SETTINGS))
    changed = {
        name
        for name, parameter in policy.model.named_parameters()
        if not torch.equal(parameter, before[name])
    }
    assert changed
    assert all(f".{CANDIDATE}." in name for name in changed)


def test_the_same_labels_and_seed_give_the_same_adapter(
    tiny_policy: Path, labels: list[TrainingLabel]
) -> None:
    hashes = set()
    for _ in range(2):
        policy = load(tiny_policy)
        list(train(policy, labels, SETTINGS))
        hashes.add(digest(policy.adapter_state(CANDIDATE)))
    assert len(hashes) == 1


def test_sampling_between_the_steps_changes_nothing_in_the_result(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    list(train(policy, labels, SETTINGS))
    plain = digest(policy.adapter_state(CANDIDATE))
    for _ in train(policy, labels, SETTINGS):
        with policy.adapter(LIVE), torch.inference_mode():
            policy.model.generate(torch.tensor([[3, 0, 4]]), max_new_tokens=3, do_sample=True)
    assert digest(policy.adapter_state(CANDIDATE)) == plain


def test_flipped_labels_teach_the_opposite(policy: Policy, labels: list[TrainingLabel]) -> None:
    list(train(policy, [replace(label, target=0.0) for label in labels], SETTINGS))
    assert evaluate(policy, CANDIDATE, labels, batch_pairs=4) == 0.0


def test_a_label_of_weight_zero_teaches_nothing(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    taught, ignored = labels[0], replace(labels[1], weight=0.0)
    list(train(policy, [taught], replace(SETTINGS, batch_pairs=2)))
    alone = policy.adapter_state(CANDIDATE)
    list(train(policy, [taught, ignored], replace(SETTINGS, batch_pairs=2)))
    both = policy.adapter_state(CANDIDATE)
    # Padding differs between the two batches, so Adam's first steps differ by rounding.
    for name, weight in alone.items():
        assert torch.allclose(weight, both[name], atol=1e-3)


def test_collating_puts_first_responses_before_second_ones(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    pairs = collate(policy, labels)
    rows = pairs.rows.response_ids.tolist()
    for number, label in enumerate(labels):
        assert rows[number][: len(label.tokens_a)] == label.tokens_a
        assert rows[len(labels) + number][: len(label.tokens_b)] == label.tokens_b


def test_the_gate_names_what_is_wrong_and_passes_a_good_candidate() -> None:
    live, good = {"w": torch.zeros(2)}, {"w": torch.ones(2)}
    assert objections(good, live, [0.7, 0.6]) == []
    assert objections(live, live, [0.7]) == ["training changed nothing"]
    assert objections({"w": torch.tensor([1.0, float("nan")])}, live, [0.7]) == [
        "a weight is infinite or NaN"
    ]
    assert objections(good, live, [0.7, float("inf")]) == ["the loss became infinite or NaN"]
