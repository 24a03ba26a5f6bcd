"""Losses, implicit rewards and gradients are those of TRL's own trainers.

Both sides have the same tiny base, the same adapter far from its start, and the same tokens, which
are fed to TRL's collators as they are. TRL runs its own forward pass with the whole sequence padded
on the right, and its own reference pass with the adapter off; ours pads prompts on the left. So the
two differ in the order of float32 sums, and in nothing else. The longest response sums to some -120
nats, where neighbouring float32 numbers lie 2^-17 = 8e-6 apart: losses and rewards may differ by
1e-5. A gradient sums some hundred products, each right to 6e-8 of itself: its weights may differ by
2e-5 of the largest entry. Both are some ten times what is seen, and a beta that is wrong by a
thousandth fails them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from peft.utils import set_peft_model_state_dict
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from labeler.config.parts.training import Training
from tests.support.tiny import save_tiny_policy, tiny_model
from tests.trainer.conftest import load
from trainer.learning.objective import Objective, PairLogps
from trainer.policy.batch import make_batch
from trainer.policy.policy import CANDIDATE, Policy

KINDS = ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gpt2"]
LOSS_ABSOLUTE, GRADIENT_SHARE = 1e-5, 2e-5

# TRL 1.16 on this transformers and torch warns about its own calls; nothing of ours is in them.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:You are importing from 'trl.experimental'"),
]


@dataclass(frozen=True)
class Pair:
    """Token ids, and which side was preferred."""

    prompt: list[int]
    a: list[int]
    b: list[int]
    prefers_a: bool

    @property
    def chosen(self) -> list[int]:
        return self.a if self.prefers_a else self.b

    @property
    def rejected(self) -> list[int]:
        return self.b if self.prefers_a else self.a


@dataclass(frozen=True)
class Outcome:
    """Of one batch: mean loss, mean implicit rewards, and the gradient of each LoRA weight."""

    loss: float
    chosen: float
    rejected: float
    gradients: dict[str, Tensor]


PAIRS = [
    Pair([3, 20, 30, 31, 0, 4], [*range(40, 58), 0], [90, 91, 0], prefers_a=True),
    Pair([3, 0, 4], [50, 0], [50, 51, 52, 53, 0], prefers_a=False),  # the same beginning
    Pair([3, *range(100, 120), 0, 4], [60, 61], [60, 61, 62], prefers_a=True),  # cut: no EOS
    Pair([3, 5, 6, 7, 0, 4], [70], [*range(200, 220)], prefers_a=False),  # one token
]


def candidate(tmp_path: Path, kind: str) -> Policy:
    """A policy with opinions, whose candidate adapter is far from the reference in all weights.

    A random model gives every token about the same probability, whatever an adapter does; with
    output embeddings ten times as large it does not, and log-ratios are of some nats.
    """
    folder = save_tiny_policy(tmp_path / kind, kind)
    sharp = tiny_model(kind)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        sharp.get_output_embeddings().weight.mul_(10)
        sharp.save_pretrained(folder)
        policy = load(folder)
        for parameter in policy.parameters(CANDIDATE):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return policy


def pair_logps(policy: Policy) -> PairLogps:
    """The log-probabilities of PAIRS by the policy's own forward pass, with gradients."""
    rows = [(pair.prompt, pair.a) for pair in PAIRS] + [(pair.prompt, pair.b) for pair in PAIRS]
    batch = make_batch(rows, pad=policy.pad_token_id, device=policy.device)
    with torch.no_grad(), policy.reference():
        reference_a, reference_b = policy.logps(batch).chunk(2)
    with policy.adapter(CANDIDATE, trains=True):
        policy_a, policy_b = policy.logps(batch).chunk(2)
    return PairLogps(
        policy_a=policy_a,
        policy_b=policy_b,
        reference_a=reference_a,
        reference_b=reference_b,
        tokens_a=torch.tensor([float(len(pair.a)) for pair in PAIRS]),
        tokens_b=torch.tensor([float(len(pair.b)) for pair in PAIRS]),
    )


def objective(loss: str, **settings: float) -> Objective:
    return Objective(Training(loss=loss, **settings))


def rewards(logps: PairLogps, settings: Training) -> tuple[Tensor, Tensor]:
    """The implicit rewards of a and of b (B,) as TRL logs them: of the summed log-ratios, also for
    the losses that divide by the length; of the policy's own means for SimPO.
    """
    if settings.loss == "simpo":
        means = logps.policy_a / logps.tokens_a, logps.policy_b / logps.tokens_b
        return settings.beta * means[0], settings.beta * means[1]
    return (
        settings.beta * (logps.policy_a - logps.reference_a),
        settings.beta * (logps.policy_b - logps.reference_b),
    )


def ours(policy: Policy, made: Objective) -> Outcome:
    logps = pair_logps(policy)
    target = torch.tensor([float(pair.prefers_a) for pair in PAIRS])
    policy.model.zero_grad()
    loss = made.losses(logps, target, torch.zeros(len(PAIRS))).mean()
    loss.backward()
    reward_a, reward_b = rewards(logps, made.settings)
    return Outcome(
        loss=loss.item(),
        chosen=torch.where(target == 1, reward_a, reward_b).mean().item(),
        rejected=torch.where(target == 1, reward_b, reward_a).mean().item(),
        gradients=dict(gradients(policy.model, CANDIDATE)),
    )


def trl_dpo(policy: Policy, **settings: Any) -> Outcome:
    """One batch through `DPOTrainer.compute_loss`, the loss and its settings by TRL's names."""
    from trl import DPOConfig, DPOTrainer

    trainer = trl_trainer(DPOTrainer, DPOConfig, policy, settings)
    rows = [
        {"prompt_ids": pair.prompt, "chosen_ids": pair.chosen, "rejected_ids": pair.rejected}
        for pair in PAIRS
    ]
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    metrics = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    return trl_outcome(trainer, loss, metrics)


def trl_simpo(policy: Policy, **settings: Any) -> Outcome:
    """One batch through `CPOTrainer`, which is where TRL keeps SimPO."""
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    cpo = {"loss_type": "simpo", "cpo_alpha": 0.0}
    trainer = trl_trainer(CPOTrainer, CPOConfig, policy, cpo | settings)
    rows = [
        whole_sequence("chosen", pair.prompt, pair.chosen)
        | whole_sequence("rejected", pair.prompt, pair.rejected)
        for pair in PAIRS
    ]
    loss, metrics = trainer.get_batch_loss_metrics(trainer.model, trainer.data_collator(rows))
    return trl_outcome(trainer, loss, metrics)


def whole_sequence(side: str, prompt: list[int], response: list[int]) -> dict[str, list[int]]:
    """A row as CPOTrainer tokenises it: the labels of the prompt are masked."""
    return {
        f"{side}_input_ids": prompt + response,
        f"{side}_attention_mask": [1] * len(prompt + response),
        f"{side}_labels": [-100] * len(prompt) + response,
    }


def trl_trainer(
    trainer: Callable[..., Any],
    config: Callable[..., Any],
    policy: Policy,
    settings: dict[str, Any],
) -> Any:
    """A TRL trainer on the policy's base with the candidate's weights in a new adapter.

    So TRL's reference is the base with the adapter off. The one row of text is there because a
    trainer asks for data; nothing is computed on it.
    """
    made = trainer(
        model=AutoModelForCausalLM.from_pretrained(policy.name),
        args=config(
            output_dir=str(Path(policy.name) / "trl"),
            report_to=[],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            remove_unused_columns=False,
            **settings,
        ),
        train_dataset=datasets.Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
        processing_class=AutoTokenizer.from_pretrained(policy.name),
        peft_config=policy.adapter_config(),
    )
    set_peft_model_state_dict(made.model, policy.adapter_state(CANDIDATE))
    return made


def trl_outcome(trainer: Any, loss: Tensor, metrics: dict[str, float]) -> Outcome:
    loss.backward()
    return Outcome(
        loss=loss.item(),
        chosen=metrics["rewards/chosen"],
        rejected=metrics["rewards/rejected"],
        gradients=dict(gradients(trainer.model, "default")),
    )


def gradients(model: torch.nn.Module, adapter: str) -> Iterator[tuple[str, Tensor]]:
    """The gradient of each weight of one adapter, by a name without the adapter's."""
    for name, parameter in model.named_parameters():
        if f".{adapter}." in name:
            assert parameter.grad is not None, name
            yield name.replace(f".{adapter}.", "."), parameter.grad


def differences(found: Outcome, expected: Outcome) -> dict[str, float]:
    """How far apart: loss and rewards as they are, gradients as a share of the largest entry."""
    assert found.gradients.keys() == expected.gradients.keys()
    largest = max(gradient.abs().max().item() for gradient in expected.gradients.values())
    furthest = max(
        (gradient - expected.gradients[name]).abs().max().item()
        for name, gradient in found.gradients.items()
    )
    return {
        "loss": abs(found.loss - expected.loss),
        "chosen": abs(found.chosen - expected.chosen),
        "rejected": abs(found.rejected - expected.rejected),
        "gradients": furthest / largest,
    }


def assert_same(found: Outcome, expected: Outcome) -> None:
    apart = differences(found, expected)
    assert max(apart["loss"], apart["chosen"], apart["rejected"]) < LOSS_ABSOLUTE, apart
    assert apart["gradients"] < GRADIENT_SHARE, apart


LOSSES = [
    (objective("sigmoid", beta=0.3), {"loss_type": "sigmoid"}),
    (objective("sigmoid_norm", beta=0.3), {"loss_type": "sigmoid_norm"}),
    (objective("ipo", beta=0.3), {"loss_type": "ipo"}),
    (objective("hinge", beta=0.3), {"loss_type": "hinge"}),
    (
        objective("robust", beta=0.3, label_smoothing=0.2),
        {"loss_type": "robust", "label_smoothing": 0.2},
    ),
]
by_name = [made.settings.loss for made, _ in LOSSES]


@pytest.mark.parametrize(("made", "settings"), LOSSES, ids=by_name)
def test_a_loss_with_a_reference_is_that_of_dpo_trainer(
    made: Objective, settings: dict[str, Any], tmp_path: Path
) -> None:
    policy = candidate(tmp_path, "llama")
    assert_same(ours(policy, made), trl_dpo(policy, beta=0.3, **settings))


@pytest.mark.parametrize("kind", KINDS)
def test_the_sigmoid_loss_is_that_of_dpo_trainer_on_every_architecture(
    kind: str, tmp_path: Path
) -> None:
    policy = candidate(tmp_path, kind)
    assert_same(ours(policy, objective("sigmoid", beta=0.3)), trl_dpo(policy, beta=0.3))


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_simpo_is_that_of_cpo_trainer(kind: str, tmp_path: Path) -> None:
    """TRL's `simpo_gamma` is gamma, as ours: it divides by beta itself, and multiplies again."""
    policy = candidate(tmp_path, kind)
    found = ours(policy, objective("simpo", beta=2.0, simpo_gamma=0.8))
    assert_same(found, trl_simpo(policy, beta=2.0, simpo_gamma=0.8))


@pytest.mark.parametrize(("made", "settings"), LOSSES, ids=by_name)
def test_a_beta_that_is_off_by_one_part_in_a_thousand_is_seen(
    made: Objective, settings: dict[str, Any], tmp_path: Path
) -> None:
    policy = candidate(tmp_path, "llama")
    off = Objective(made.settings.model_copy(update={"beta": 0.3003}))
    apart = differences(ours(policy, off), trl_dpo(policy, beta=0.3, **settings))
    assert apart["loss"] > LOSS_ABSOLUTE
    assert max(apart["chosen"], apart["rejected"]) > LOSS_ABSOLUTE
    assert apart["gradients"] > GRADIENT_SHARE


def test_a_gamma_that_is_off_by_one_part_in_a_thousand_is_seen(tmp_path: Path) -> None:
    policy = candidate(tmp_path, "llama")
    found = ours(policy, objective("simpo", beta=2.0, simpo_gamma=0.8008))
    apart = differences(found, trl_simpo(policy, beta=2.0, simpo_gamma=0.8))
    assert apart["loss"] > LOSS_ABSOLUTE
    assert apart["gradients"] > GRADIENT_SHARE
