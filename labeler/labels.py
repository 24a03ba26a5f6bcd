"""What a vote means for training: the one place where choices become targets and weights.

A decisive vote says that one response is preferred: P(a preferred) is 1 or 0. Ties, "both bad" and
skips carry no direction; sigmoid DPO has no place for them, so they are kept and exported but not
trained on.
"""

from dataclasses import dataclass

from labeler.tables import Choice

DECISIVE = (Choice.A, Choice.B)


@dataclass(frozen=True)
class Preference:
    """P(a is preferred over b), and how much the label counts."""

    target: float
    weight: float = 1.0


def preference(choice: Choice) -> Preference:
    """The training target of a decisive vote. Raises ValueError for any other."""
    if choice not in DECISIVE:
        raise ValueError(f"a vote '{choice}' has no direction")
    return Preference(target=1.0 if choice is Choice.A else 0.0)


@dataclass(frozen=True)
class TrainingLabel:
    """What people said of one pair: P(a preferred) = `target`, P(tie) = `tie`; the rest is for b.

    It counts `weight` times. `vote_ids` are the votes it was made from. `reference_logp_*` are the
    summed log-probabilities (nats) of the responses under the reference.
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
