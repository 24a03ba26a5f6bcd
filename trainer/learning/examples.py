"""Labels as a loss reads them: with their log-probabilities under the reference.

`trainer.learning.update` trains on them. The gate asks for their margins.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from labeler.config.parts.training import Training
from labeler.domain.errors import LivedpoError
from labeler.domain.labels import TrainingLabel
from trainer.fast.layout import TokenPair
from trainer.learning.objective import Objective, PairLogps
from trainer.learning.team import ALONE, Team
from trainer.policy.logps import logps_under
from trainer.policy.policy import LIVE, Policy


@dataclass(frozen=True)
class Examples:
    """L labels with their log-probabilities under the reference, (L, 2), nats."""

    labels: Sequence[TrainingLabel]
    reference: Tensor  # (L, 2)

    def __getitem__(self, places: Sequence[int]) -> "Examples":
        return Examples([self.labels[place] for place in places], self.reference[list(places)])

    @property
    def pairs(self) -> list[TokenPair]:
        """The tokens of each."""
        return [label.tokens for label in self.labels]

    def column(self, name: Literal["target", "tie", "weight"]) -> Tensor:
        """One property of the labels, (L,)."""
        values = [vars(label)[name] for label in self.labels]
        return torch.tensor(values, dtype=torch.float32, device=self.reference.device)

    def logps(self, policy_L2: Tensor) -> PairLogps:
        """Everything that a loss reads, given the policy's log-probabilities (L, 2)."""
        tokens = [(float(len(label.tokens_a)), float(len(label.tokens_b))) for label in self.labels]
        tokens_L2 = torch.tensor(tokens, device=policy_L2.device)
        return PairLogps(*policy_L2.unbind(1), *self.reference.unbind(1), *tokens_L2.unbind(1))


def check(policy: Policy, labels: Sequence[TrainingLabel]) -> None:
    """Raise LivedpoError, in one sentence, if there is a label that cannot be trained on."""
    if not labels:
        raise LivedpoError("There are no labels to train on.")
    for label in labels:
        name = f"The label of the votes {', '.join(label.vote_ids)}"
        longest = len(label.prompt_tokens) + max(len(label.tokens_a), len(label.tokens_b))
        if not (label.prompt_tokens and label.tokens_a and label.tokens_b):
            raise LivedpoError(f"{name} cannot be trained on: a response has no tokens.")
        if longest > policy.context_tokens:
            raise LivedpoError(
                f"{name} cannot be trained on: prompt and response have {longest} tokens, and the "
                f"context of the policy '{policy.name}' is {policy.context_tokens}."
            )


def without_end(label: TrainingLabel, ends: Collection[int]) -> TrainingLabel:
    """The label without the token that ends its worse response, if the better one was cut.

    A response that was cut at the limit is censored: it would have ended too, only nobody knows
    where. Its tokens hold no end, so all that such a pair says of ends is that the worse one had
    one, and a policy that learns from a few of these never ends its responses.
    """
    said = 2 * label.target + label.tie - 1
    a, b = label.tokens_a, label.tokens_b
    if said > 0 and len(b) > 1 and b[-1] in ends and a[-1] not in ends:
        return replace(label, tokens_b=b[:-1])
    if said < 0 and len(a) > 1 and a[-1] in ends and b[-1] not in ends:
        return replace(label, tokens_a=a[:-1])
    return label


def examples_of(
    policy: Policy,
    labels: Sequence[TrainingLabel],
    settings: Training,
    pause: Callable[[], None] | None = None,
    team: Team = ALONE,
) -> Examples:
    """The labels, `without_end`, with the reference log-probabilities that the settings ask for.

    Those of labels from another temperature, and of shortened ones, are computed anew. `pause` as
    in `logps_under`.
    """
    known = [(label.reference_logp_a, label.reference_logp_b) for label in labels]
    taught = [without_end(label, policy.eos_token_ids) for label in labels]
    examples = Examples(taught, torch.tensor(known, device=policy.device))
    if not settings.loss.traits.needs_reference:
        return examples
    if settings.reference == "previous":
        return Examples(taught, _shared_logps(policy, LIVE, examples.pairs, pause, team))
    others = [
        n
        for n, label in enumerate(labels)
        if label.temperature != policy.temperature or taught[n] is not label
    ]
    if others:
        logps = _shared_logps(policy, None, examples[others].pairs, pause, team)
        examples.reference[others] = logps
    return examples


def margins(
    policy: Policy,
    adapter: str,
    labels: Sequence[TrainingLabel],
    settings: Training,
    pause: Callable[[], None] | None = None,
) -> Tensor:
    """What this adapter ranks a over b by, for each label (L,), as the objective measures it.

    `pause` as in `logps_under`.
    """
    return margins_of(
        policy, adapter, examples_of(policy, labels, settings, pause), settings, pause
    )


def margins_of(
    policy: Policy,
    adapter: str,
    examples: Examples,
    settings: Training,
    pause: Callable[[], None] | None = None,
) -> Tensor:
    """The same of examples."""
    logps_L2 = logps_under(policy, adapter, examples.pairs, pause).to(policy.device)
    return Objective(settings).margin(examples.logps(logps_L2))


def size_of(pair: TokenPair) -> int:
    """Tokens of a pair."""
    return sum(map(len, pair))


def _shared_logps(
    policy: Policy,
    adapter: str | None,
    pairs: Sequence[TokenPair],
    pause: Callable[[], None] | None,
    team: Team,
) -> Tensor:
    """As `logps_under`, on the policy's device, with everyone in the team computing some.

    In step everyone computes all.
    """
    if team.in_step:
        return logps_under(policy, adapter, pairs, pause).to(policy.device)
    logps_B2 = torch.zeros(len(pairs), 2)
    mine = team.share(list(map(size_of, pairs)))
    logps_B2[mine] = logps_under(policy, adapter, [pairs[place] for place in mine], pause)
    return team.summed(logps_B2).to(policy.device)
