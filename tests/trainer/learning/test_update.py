"""An update on a tiny policy: it learns, repeats exactly, and touches nothing but the candidate."""

import hashlib
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from labeler.config.parts.training import Training
from labeler.domain.errors import LivedpoError
from labeler.domain.labels import TrainingLabel
from labeler.domain.losses import Loss
from tests.trainer.conftest import equal, load
from trainer.fast import memory
from trainer.fast.layout import TokenPair
from trainer.fast.memory import FREE_SHARE, is_out_of_memory, token_bytes
from trainer.learning import batches
from trainer.learning.dpo import preference_accuracy
from trainer.learning.examples import margins
from trainer.learning.reach import decayed
from trainer.learning.update import Step, train
from trainer.policy.logps import pair_logps
from trainer.policy.policy import CANDIDATE, LIVE, Policy

SETTINGS = Training(loss=Loss.SIGMOID, learning_rate=1e-2, passes=3, batch_pairs=2)


def changed(settings: Training, **values: object) -> Training:
    return Training(**(settings.model_dump() | values))


# Large enough for Adam's eps not to matter, and for weights to show what the gradients were.
SLOW = changed(SETTINGS, learning_rate=1e-4)


def agreement(policy: Policy, adapter: str, labels: list[TrainingLabel]) -> float:
    """Share of the labels that this adapter ranks as they say."""
    targets = torch.tensor([label.target for label in labels])
    return preference_accuracy(margins(policy, adapter, labels, SETTINGS), targets).mean().item()


def digest(state: dict[str, Tensor]) -> str:
    return hashlib.sha256(save(state)).hexdigest()


def test_the_first_loss_is_log_two_and_then_the_labels_are_learnt(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    steps = list(train(policy, labels, SETTINGS, seed=0))
    assert abs(steps[0].loss - 0.693147) < 1e-4
    assert [step.done for step in steps] == list(range(1, 7))
    assert {step.total for step in steps} == {6}
    assert agreement(policy, LIVE, labels) == 0.5
    assert agreement(policy, CANDIDATE, labels) == 1.0


def test_filled_pairs_are_learned_among_the_labels_in_steps_of_their_own(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    """Two labels and two filled pairs in batches of two, three passes: 6 steps."""
    rated, filled = labels[:2], [replace(label, weight=0.5) for label in labels[2:]]
    steps = list(train(policy, rated, SETTINGS, seed=0, filled=filled))
    assert {step.total for step in steps} == {6}
    assert agreement(policy, CANDIDATE, labels) == 1.0


def test_filled_pairs_alone_are_learned(policy: Policy, labels: list[TrainingLabel]) -> None:
    [*_, last] = train(policy, [], SETTINGS, seed=0, filled=labels)
    assert (last.done, last.total) == (6, 6)
    assert agreement(policy, CANDIDATE, labels) == 1.0


def test_only_the_candidate_changes(policy: Policy, labels: list[TrainingLabel]) -> None:
    before = {name: p.clone() for name, p in policy.model.named_parameters()}
    list(train(policy, labels, SETTINGS, seed=0))
    different = {
        name
        for name, parameter in policy.model.named_parameters()
        if not torch.equal(parameter, before[name])
    }
    assert different
    assert all(f".{CANDIDATE}." in name for name in different)


def test_the_same_labels_and_seed_give_the_same_adapter(
    tiny_policy: Path, labels: list[TrainingLabel]
) -> None:
    hashes = set()
    for _ in range(2):
        policy = load(tiny_policy)
        list(train(policy, labels, SETTINGS, seed=0))
        hashes.add(digest(policy.adapter_state(CANDIDATE)))
    assert len(hashes) == 1


def test_sampling_between_the_steps_changes_nothing_in_the_result(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    list(train(policy, labels, SETTINGS, seed=0))
    plain = digest(policy.adapter_state(CANDIDATE))
    for _ in train(policy, labels, SETTINGS, seed=0):
        with policy.adapter(LIVE), torch.inference_mode():
            policy.model.generate(torch.tensor([[3, 0, 4]]), max_new_tokens=3, do_sample=True)
    assert digest(policy.adapter_state(CANDIDATE)) == plain


def test_flipped_labels_teach_the_opposite(policy: Policy, labels: list[TrainingLabel]) -> None:
    list(train(policy, [replace(label, target=0.0) for label in labels], SETTINGS, seed=0))
    assert agreement(policy, CANDIDATE, labels) == 0.0


def test_a_label_of_weight_zero_teaches_nothing(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    taught, ignored = labels[0], replace(labels[1], weight=0.0)
    list(train(policy, [taught], changed(SETTINGS, batch_pairs=2), seed=0))
    alone = policy.adapter_state(CANDIDATE)
    list(train(policy, [taught, ignored], changed(SETTINGS, batch_pairs=2), seed=0))
    both = policy.adapter_state(CANDIDATE)
    # Padding differs between the two batches, so Adam's first steps differ by rounding.
    for name, weight in alone.items():
        assert torch.allclose(weight, both[name], atol=1e-3)


def one_step(policy: Policy, labels: list[TrainingLabel], **changes: int) -> Step:
    settings = changed(SLOW, passes=1, batch_pairs=len(labels), **changes)
    (step,) = train(policy, labels, settings, seed=0)
    return step


@pytest.mark.parametrize("micro_tokens", [1, 40])
def test_micro_batches_add_up_to_the_gradient_of_the_whole_batch(
    policy: Policy, labels: list[TrainingLabel], micro_tokens: int
) -> None:
    """Weights 1, 2, 3, 4: each label counts its tenths, however the batch is parted."""
    weighted = [replace(label, weight=float(n)) for n, label in enumerate(labels, start=1)]
    whole = one_step(policy, weighted)
    parted = one_step(policy, weighted, micro_tokens=micro_tokens)
    assert parted.loss == pytest.approx(whole.loss, rel=1e-5)
    assert parted.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-4)
    assert parted.accuracy == whole.accuracy


def test_the_loss_of_a_batch_is_the_mean_of_its_losses_by_weight(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    """Margin of the first: m = 0 - (-1 - 2) = 3, of the second 0, as policy equals base.

    With beta 0.1: log(1 + e^-0.3) = 0.554355 and log 2 = 0.693147;
    weighed 1 to 3: (0.554355 + 3 * 0.693147) / 4 = 0.658449.
    """
    first = replace(
        labels[0],
        reference_logp_a=labels[0].reference_logp_a - 1,
        reference_logp_b=labels[0].reference_logp_b + 2,
    )
    step = one_step(policy, [first, replace(labels[1], weight=3.0)])
    assert step.loss == pytest.approx(0.658449, abs=1e-5)


def test_margins_are_those_of_the_objective_and_agree_with_the_accuracy(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    list(train(policy, labels, SETTINGS, seed=0))
    found = margins(policy, CANDIDATE, labels, SETTINGS)
    pairs = [(label.prompt_tokens, label.tokens_a, label.tokens_b) for label in labels]
    with torch.no_grad(), policy.adapter(CANDIDATE):
        logps_a, logps_b = pair_logps(policy, pairs).unbind(1)
    reference = torch.tensor([x.reference_logp_a - x.reference_logp_b for x in labels])
    torch.testing.assert_close(found, logps_a - logps_b - reference)
    assert (found > 0).float().mean().item() == agreement(policy, CANDIDATE, labels)


def test_the_previous_version_as_reference_starts_every_update_at_log_two(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    """The policy starts as the live one, so against live every margin is 0; against base, not."""
    list(train(policy, labels, SETTINGS, seed=0))
    policy.copy_adapter(CANDIDATE, LIVE)
    base, previous = (
        next(train(policy, labels, changed(SETTINGS, reference=reference), seed=0)).loss
        for reference in ("base", "previous")
    )
    assert previous == pytest.approx(0.693147, abs=1e-4)
    assert base < 0.69


def test_a_loss_without_a_reference_does_not_read_one(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    simpo = changed(SETTINGS, loss="simpo", beta=2.0)
    broken = [replace(label, reference_logp_a=float("nan")) for label in labels]
    losses = [step.loss for step in train(policy, broken, simpo, seed=0)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("reference", [float("nan"), float("inf")])
def test_training_stops_unchanged_where_the_loss_is_not_finite(
    policy: Policy, labels: list[TrainingLabel], reference: float
) -> None:
    broken = [replace(label, reference_logp_a=reference) for label in labels]
    steps = list(train(policy, broken, SETTINGS, seed=0))
    assert len(steps) == 1
    assert str(steps[0].loss) == "nan"
    assert equal(policy.adapter_state(LIVE), policy.adapter_state(CANDIDATE))


def test_a_response_without_tokens_is_one_sentence_that_names_the_votes(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    bad = replace(labels[1], vote_ids=("x7", "x8"), tokens_b=[])
    with pytest.raises(LivedpoError, match=r"votes x7, x8 .* no tokens"):
        next(train(policy, [labels[0], bad], SETTINGS, seed=0))


def test_a_pair_longer_than_the_context_is_one_sentence_with_both_numbers(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    bad = replace(labels[1], prompt_tokens=[5] * 127, tokens_a=[6, 7], tokens_b=[8])
    with pytest.raises(LivedpoError, match=r"129 tokens, and the context .* is 128"):
        next(train(policy, [bad], SETTINGS, seed=0))


def test_no_labels_are_one_sentence(policy: Policy) -> None:
    with pytest.raises(LivedpoError, match="no labels"):
        next(train(policy, [], SETTINGS, seed=0))


def short_of_memory(max_tokens: int, error: Exception) -> object:
    """`pair_logps` on a machine that has memory for so many tokens."""

    def compute(policy: Policy, pairs: list[TokenPair], *, fill: int) -> Tensor:
        logps = pair_logps(policy, pairs, fill=fill)
        if sum(sum(map(len, pair)) for pair in pairs) > max_tokens:
            raise error
        return logps

    return compute


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    ],
)
def test_a_step_that_runs_out_of_memory_is_done_again_in_smaller_parts(
    policy: Policy,
    labels: list[TrainingLabel],
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = one_step(policy, labels)
    longest = max(len(label.prompt_tokens + label.tokens_a + label.tokens_b) for label in labels)
    monkeypatch.setattr(batches, "pair_logps", short_of_memory(longest, error))
    retried = one_step(policy, labels)
    assert retried.loss == pytest.approx(whole.loss, rel=1e-5)
    assert retried.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-4)


def test_out_of_memory_on_a_single_pair_is_one_sentence_and_leaves_no_gradient(
    policy: Policy, labels: list[TrainingLabel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "pair_logps", short_of_memory(0, torch.OutOfMemoryError("no")))
    with pytest.raises(LivedpoError, match="out of memory on a single pair"):
        next(train(policy, labels, SETTINGS, seed=0))
    assert all(weight.grad is None for weight in policy.parameters(CANDIDATE))


def test_a_pair_that_does_not_fit_is_computed_with_each_layer_twice(
    policy: Policy,
    labels: list[TrainingLabel],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = one_step(policy, labels)

    def tight(policy: Policy, pairs: Sequence[TokenPair], *, fill: int) -> Tensor:
        if not policy.computes_twice:
            raise torch.OutOfMemoryError("no")
        return pair_logps(policy, pairs, fill=fill)

    monkeypatch.setattr(batches, "pair_logps", tight)
    retried = one_step(policy, labels)
    assert "Training computes each layer twice, which is slower: memory ran out." in caplog.text
    assert retried.loss == pytest.approx(whole.loss, rel=1e-5)
    assert retried.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-4)


def test_layers_are_computed_twice_where_a_pair_would_take_more_than_is_free(
    policy: Policy, labels: list[TrainingLabel], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = one_step(policy, labels)
    assert not policy.computes_twice
    base = policy.model.get_base_model()
    longest = max(len(label.prompt_tokens + label.tokens_a + label.tokens_b) for label in labels)
    enough = longest * token_bytes(base) / FREE_SHARE
    monkeypatch.setattr(memory, "free_bytes", lambda _: enough)
    one_step(policy, labels)
    assert not policy.computes_twice
    monkeypatch.setattr(memory, "free_bytes", lambda _: 0.99 * enough)
    again = one_step(policy, labels)
    assert policy.computes_twice
    assert again.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-4)


def test_another_error_in_the_middle_is_not_taken_for_memory(
    policy: Policy, labels: list[TrainingLabel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "pair_logps", short_of_memory(0, RuntimeError("shape mismatch")))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        next(train(policy, labels, SETTINGS, seed=0))


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
import torch
from tests.trainer.conftest import load
from tests.trainer.learning.test_update import SLOW, changed
from labeler.domain.labels import TrainingLabel
from trainer.learning.update import train

policy = load(Path(sys.argv[1]))
tokens = [n % 300 for n in range(60)]
label = TrainingLabel(("v",), 1.0, 1.0, tokens, tokens, tokens[1:], -9.0, -9.0)
settings = changed(SLOW, passes=1, micro_tokens=100_000)
next(train(policy, [label], settings, seed=0))
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 16 * 2**20,) * 2)
for step in train(policy, [label] * 80, changed(settings, batch_pairs=80), seed=0):
    print(step.done, step.loss)
"""


def test_a_machine_that_is_really_short_of_memory_finishes_the_update(tiny_policy: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY, str(tiny_policy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Out of memory; going on with" in run.stderr
    assert run.stdout.startswith("1 ")


def test_what_is_no_lack_of_memory_is_not_taken_for_it() -> None:
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_a_weight_counts_beyond_its_own_batch(policy: Policy, labels: list[TrainingLabel]) -> None:
    """One label a batch: with the second label's weight at zero, its step changes nothing."""
    heavy, light = replace(labels[0], weight=2.0), replace(labels[1], weight=0.0)
    one_by_one = changed(SETTINGS, batch_pairs=1, passes=1)
    losses = sorted(step.loss for step in train(policy, [heavy, light], one_by_one, seed=0))
    assert losses == pytest.approx([0.0, 2 * math.log(2)], abs=1e-4)


def test_the_learning_rate_falls_with_the_labels_that_were_used() -> None:
    """Half after `decay_labels`, a third after twice as many; nothing else changes."""
    falling = changed(SETTINGS, decay_labels=64)
    rates = [decayed(falling, used).learning_rate for used in (0, 64, 128)]
    assert rates == pytest.approx([1e-2, 1e-2 / 2, 1e-2 / 3])
    assert decayed(falling, 64) == changed(falling, learning_rate=rates[1])
    assert decayed(SETTINGS, 1000) == SETTINGS
