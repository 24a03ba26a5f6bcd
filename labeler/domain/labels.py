"""What votes mean for training: the one place where opinions become targets and weights.

    votes of raters, verdicts of a judge  ->  opinions of one pair  ->  combine  ->  Preference

- `a` and `b` say which response is better: P(a preferred) is 1 or 0.
- A tie, and "both bad" like it, says that neither is better. "Both bad" also says that neither is
  good, which a comparison cannot express; it is kept and exported for trainers that can.
  What the two teach is a rule: `drop` nothing; `coin_flip` that both are as likely (target 1/2, for
  losses of two outcomes); `learn` that they are a tie (for DPO-RK and DPO-D, arXiv 2409.17431).
- A skip says nothing.
- "Much better" counts `strong_weight` times, a judge `judge_weight` times, and everyone by their
  reliability.
- A judge's verdict counts only where no person has spoken. A person who called it a tie has.

Raters who disagree make a soft target: the weighted share of those who preferred a. The label
weighs as much as all its opinions together. Every loss here is linear in the targets, so this is
the loss summed over the opinions, one by one; only the model has to read the pair once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from labeler.domain.states import Choice, Source

# What names, in a pair's sampling settings, the temperature that its log-probabilities are at.
LOGPS_AT = "logp_temperature"
# What names there the hints that its two responses were drawn under; None: the prompt as it is.
HINTS = "hints"
DECISIVE = (Choice.A, Choice.B)
UNDECIDED = (Choice.TIE, Choice.BOTH_BAD)
MUCH_BETTER = 2

Ties = Literal["drop", "coin_flip", "learn"]


@dataclass(frozen=True)
class VoteRules:
    """How opinions count: what ties teach, and the weights of "much better" and of a judge.

    `ties_count`: a tie brings an update nearer even where it teaches the policy nothing, for it
    teaches the reward model that fills the update up.
    """

    ties: Ties = "drop"
    strong_weight: float = 1.0
    judge_weight: float = 1.0
    ties_count: bool = False


NO_TIES = VoteRules()


@dataclass(frozen=True)
class Opinion:
    """What one rater or judge said of a pair, in stored order.

    A judge may give the `probability` that a is better, which then replaces its choice.
    `reliability` is how much this voice counts, 1 being the usual.
    """

    choice: Choice
    strength: int = 1
    source: Source = Source.HUMAN
    probability: float | None = None
    reliability: float = 1.0


class Choosing(Protocol):
    """An opinion, or a vote of the database: what was chosen, and whether a person chose it."""

    @property
    def choice(self) -> Choice:
        """What was chosen."""

    @property
    def source(self) -> Source:
        """Who chose it."""


Voice = TypeVar("Voice", bound=Choosing)


@dataclass(frozen=True)
class Preference:
    """P(a preferred) = `target`, P(tie) = `tie`, the rest is for b; it counts `weight` times."""

    target: float
    tie: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True)
class TrainingLabel:
    """What people said of one pair: P(a preferred) = `target`, P(tie) = `tie`; the rest is for b.

    It counts `weight` times. `vote_ids` are the votes it was made from; `judged` says that no
    person's is among them. `reference_logp_*` are the summed log-probabilities (nats) of the
    responses under the reference, at this `temperature`.
    """

    vote_ids: tuple[str, ...]
    target: float
    weight: float
    prompt_tokens: list[int]
    tokens_a: list[int]
    tokens_b: list[int]
    reference_logp_a: float
    reference_logp_b: float
    tie: float = 0.0
    judged: bool = False
    temperature: float = 1.0
    pair_id: int | None = None  # in the store

    @property
    def tokens(self) -> tuple[list[int], list[int], list[int]]:
        """Those of the prompt and of both responses."""
        return self.prompt_tokens, self.tokens_a, self.tokens_b


def trainable(rules: VoteRules) -> tuple[Choice, ...]:
    """The choices that can become a label, or teach a reward model."""
    return DECISIVE + UNDECIDED if rules.ties_count or rules.ties != "drop" else DECISIVE


def combine(opinions: Sequence[Opinion], rules: VoteRules) -> Preference | None:
    """All opinions of one pair as one preference; None if they say nothing to learn from.

    >>> combine([Opinion(Choice.A), Opinion(Choice.A), Opinion(Choice.B)], VoteRules())
    Preference(target=0.6666666666666666, tie=0.0, weight=3.0)
    """
    said = [
        (weight, shares)
        for opinion in heard(opinions)
        if (shares := _shares(opinion, rules)) is not None
        and (weight := _weight(opinion, rules)) > 0
    ]
    total = sum(weight for weight, _ in said)
    if not said:
        return None
    return Preference(
        target=sum(weight * preferred for weight, (preferred, _) in said) / total,
        tie=sum(weight * tie for weight, (_, tie) in said) / total,
        weight=total,
    )


def heard(opinions: Sequence[Voice]) -> list[Voice]:
    """Those that say something: people's if there is one, else the judge's."""
    speaking = [opinion for opinion in opinions if opinion.choice is not Choice.SKIP]
    people = [opinion for opinion in speaking if opinion.source is Source.HUMAN]
    return people or speaking


def _shares(opinion: Opinion, rules: VoteRules) -> tuple[float, float] | None:
    """P(a preferred) and P(tie) as this opinion has it; None if it teaches nothing."""
    if opinion.probability is not None:
        return opinion.probability, 0.0
    if opinion.choice in DECISIVE:
        return float(opinion.choice is Choice.A), 0.0
    return {"drop": None, "coin_flip": (0.5, 0.0), "learn": (0.0, 1.0)}[rules.ties]


def _weight(opinion: Opinion, rules: VoteRules) -> float:
    weight = opinion.reliability
    if opinion.strength >= MUCH_BETTER:
        weight *= rules.strong_weight
    if opinion.source is Source.JUDGE:
        weight *= rules.judge_weight
    return weight
