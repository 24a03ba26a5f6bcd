"""How far a reward model is trusted: by how often it was right on votes that it had not seen.

    weight_of   what a pair weighs that it labels
    sureness    how much surer it may be than cross-validation has made it

Both take little for granted and prove little by few votes: accuracy is shrunk to what is expected.
"""

import math

from labeler.domain.estimate import Estimate
from trainer.judge.fitting import Fit

BASE_WEIGHT = 1.0  # of a pair, where a vote weighs 1
# Accuracy that is taken for granted, and after how many votes what was measured counts as much. An
# unsure rater caps it: who says the opposite once in four times is met by a perfect model in 75 %.
EXPECTED_RIGHT, EXPECTED_VOTES = 0.65, 32
MOST_DOUBLINGS = 20.0  # of margins
CHANCE, SURE = 0.55, 0.65  # of accuracy: where it teaches nothing, and where it is fully trusted
PEOPLE_LEAD = 256  # votes, by which a pair weighs half of that


def weight_of(right: Estimate, votes: int) -> float:
    """What a filled pair weighs, where a vote weighs 1.

    BASE_WEIGHT x trust x PEOPLE_LEAD / (PEOPLE_LEAD + votes). Trust rises from 0 at CHANCE to 1 at
    SURE, in the accuracy on votes not seen, shrunk to what is expected: few votes prove nothing
    either way, and the targets are soft as long as the ensemble is unsure.

    >>> weight_of(Estimate.rate(0.5, 64), 64), weight_of(Estimate.rate(0.75, 1024), 0)
    (0.0, 1.0)
    >>> weight_of(Estimate.rate(0.5, 8), 8) > 0.1
    True
    """
    if right.value is None:
        return 0.0
    trust = min(1.0, max(0.0, (_shrunk(right) - CHANCE) / (SURE - CHANCE)))
    return BASE_WEIGHT * trust * PEOPLE_LEAD / (PEOPLE_LEAD + votes)


def sureness(found: Fit) -> float:
    """What to multiply margins by, so that the model is on average no less sure of votes that it
    had not seen than it was right, shrunk as in `weight_of`; at least 1.

    Cross-validation takes a strong ridge where votes are few or noisy. That points in the right
    direction, and is far too modest; one factor mends it (temperature scaling, Guo et al. 2017,
    arXiv 1706.04599).
    """
    from scipy.optimize import brentq

    goal = _shrunk(found.right)

    def surplus(doublings: float) -> float:
        margins = 2.0**doublings * found.margins[:, None]
        sure: float = found.heads.probabilities(margins).mean().item()
        return sure - goal

    if surplus(0.0) >= 0 or surplus(MOST_DOUBLINGS) < 0:  # or there is nothing to go by
        return 1.0
    return math.exp2(brentq(surplus, 0.0, MOST_DOUBLINGS))


def _shrunk(right: Estimate) -> float:
    """Towards what is expected."""
    if right.value is None:
        return EXPECTED_RIGHT
    known = right.value * right.count + EXPECTED_RIGHT * EXPECTED_VOTES
    return known / (right.count + EXPECTED_VOTES)
