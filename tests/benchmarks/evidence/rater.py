"""A rater who answers by a score, as unsure as people are: Rao and Kupper's model (1967).

    P(first) = sigmoid(s d - eta)    P(second) = sigmoid(-s d - eta)    the rest is a tie

`d` is by how much the first scores higher. With no ties this is Bradley and Terry's. The slope `s`
is set so that the rater, asked twice about a pair and deciding both times, says the same in three
cases of four: people agree with each other in 63 to 81 %. Leaves out whose score it is.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from labeler.domain.labels import Opinion
from labeler.domain.states import Choice

SELF_AGREEMENT = 0.75
ETA = math.log(1.5)  # of two responses of one score, a fifth are ties
MOST = 1e4  # scaled margin, that no rater is surer than


@dataclass(frozen=True)
class Rater:
    """`slope` per point of score; `noise` instead flips that share of the votes of a sure rater."""

    slope: float
    noise: float | None = None

    def vote(self, margin: float, rng: random.Random) -> Opinion:
        """What is said of a pair whose first response scores higher by `margin`."""
        if self.noise is None:
            return Opinion(self._doubting(margin, rng.random()))
        if margin == 0:
            return Opinion(Choice.TIE)
        says_first = (margin > 0) != (rng.random() < self.noise)
        return Opinion(Choice.A if says_first else Choice.B)

    def _doubting(self, margin: float, luck: float) -> Choice:
        first, second = shares(self.slope * margin)
        if luck < first:
            return Choice.A
        return Choice.B if luck < first + second else Choice.TIE


def shares(margin: float) -> tuple[float, float]:
    """P(first) and P(second) at a scaled margin; the rest is P(tie)."""
    return _sigmoid(margin - ETA), _sigmoid(-margin - ETA)


def agreement(margins: Sequence[float], slope: float) -> float:
    """How often two answers to one pair are the same, of those where both decide."""
    same = both = 0.0
    for margin in margins:
        first, second = shares(slope * margin)
        same += first**2 + second**2
        both += (first + second) ** 2
    return same / both


def tie_share(margins: Sequence[float], slope: float) -> float:
    """How often the rater says tie."""
    return sum(1 - sum(shares(slope * margin)) for margin in margins) / len(margins)


def calibrated(margins: Sequence[float]) -> Rater:
    """The rater who agrees with themselves as people do, on pairs of these margins.

    Raises ValueError if no slope does it, because too few pairs differ in score.
    """
    low, high = 0.0, MOST / max(max(map(abs, margins), default=0.0), 1e-12)
    if agreement(margins, high) < SELF_AGREEMENT:
        raise ValueError(
            "Too few of the policy's pairs differ in score for a rater who agrees with themselves "
            f"in {SELF_AGREEMENT:.0%}; take other prompts, or another --rater."
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if agreement(margins, middle) < SELF_AGREEMENT else (low, middle)
    return Rater(high)


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
