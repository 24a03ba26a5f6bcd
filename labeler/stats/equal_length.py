"""A win rate at equal length: what is left of it if neither response were the longer one.

    P(new wins) = sigmoid(a + b log(length of new / length of old))    ->    sigmoid(a)

As in length-controlled AlpacaEval (Dubois et al. 2024, arXiv 2404.04475), with one opponent. Judges
and reward models love length, so a policy that only writes more wins, and nobody is helped.
"""

import math
from collections.abc import Sequence

from labeler.domain.estimate import Z_95, Estimate

# Normal priors: of a, so that it stays finite where all is won, and of b, where few lengths differ.
SPREAD_OF_A, SPREAD_OF_B = 2.0, 2.0
STEPS = 50
TOO_FEW = "there are too few comparisons"
MIN_COMPARED = 8


def at_equal_length(wins: Sequence[float], longer: Sequence[float]) -> Estimate:
    """The share won at equal length, with its interval (Laplace's, of a).

    `wins` are 1, 0, or 1/2 for a tie; `longer` is the log of how many times as long the new
    response is.

    >>> round(at_equal_length([1] * 20 + [0] * 20, [0.0] * 40).value, 2)
    0.5
    """
    if len(wins) < MIN_COMPARED:
        return Estimate.none(TOO_FEW, len(wins))
    a = b = 0.0
    for _ in range(STEPS):
        shares = [_sigmoid(a + b * x) for x in longer]
        misses = [won - share for won, share in zip(wins, shares, strict=True)]
        sure = [share * (1 - share) for share in shares]
        towards_a = sum(misses) - a / SPREAD_OF_A**2
        towards_b = sum(map(math.prod, zip(misses, longer, strict=True))) - b / SPREAD_OF_B**2
        aa = sum(sure) + 1 / SPREAD_OF_A**2
        ab = sum(map(math.prod, zip(sure, longer, strict=True)))
        bb = sum(s * x * x for s, x in zip(sure, longer, strict=True)) + 1 / SPREAD_OF_B**2
        both = aa * bb - ab * ab
        step_a = (bb * towards_a - ab * towards_b) / both
        step_b = (aa * towards_b - ab * towards_a) / both
        a, b = a + step_a, b + step_b
        if abs(step_a) + abs(step_b) < 1e-9:
            break
    half = Z_95 * math.sqrt(bb / both)
    return Estimate(_sigmoid(a), _sigmoid(a - half), _sigmoid(a + half), len(wins))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else 1 - 1 / (1 + math.exp(x))
