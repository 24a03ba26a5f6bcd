"""How far votes prove that length matters, and how likely they make it."""

import math
from collections.abc import Sequence

NEARLY_ONE = 1 - 1e-9  # where the longer always won by the same


def length_leaning(won_by: Sequence[float], longer_by: Sequence[float]) -> float:
    """From -1, votes prove that people like the shorter reply, to 1, the longer one.

    The size is 1 - 1 / z^2, the shrinkage of one effect (James and Stein 1961), where z is
    `length_z`; 0 where z is below 1, for that may be chance.

    >>> length_leaning([1, -1, 1, 1], [1.0, 1.0, 2.0, -1.0])
    0.0
    >>> round(length_leaning([1] * 9 + [-1], [30.0] * 10), 2), length_leaning([-1], [0.0])
    (0.94, 0.0)
    """
    z = length_z(won_by, longer_by)
    return math.copysign(max(0.0, 1 - 1 / z**2), z) if z else 0.0


def length_odds(won_by: Sequence[float], longer_by: Sequence[float]) -> float:
    """P(people like the longer reply) - P(they like the shorter one), as far as votes tell.

    By the normal approximation with a flat prior: 2 Phi(z) - 1.

    >>> length_odds([1, -1], [1.0, 1.0]), round(length_odds([1] * 3 + [-1], [30.0] * 4), 2)
    (0.0, 0.75)
    """
    return math.erf(length_z(won_by, longer_by) / math.sqrt(2))


def length_z(won_by: Sequence[float], longer_by: Sequence[float]) -> float:
    """z of the correlation between who won and by how much longer it was; 0 where there is none.

    `won_by` (N,) is above 0 where the first won, below 0 where the second did, 0 in a tie;
    `longer_by` (N,) is by how much the first was longer. Its square root counts: a vote that is
    beside the point weighs most where the lengths differ most, and two of these would else undo
    ten others.

    >>> round(length_z([-1] * 8 + [1, 1], [10.0] * 8 + [90.0] * 2), 1)
    -0.4
    """
    sides = [(won > 0) - (won < 0) for won in won_by]
    roots = [math.copysign(math.sqrt(abs(more)), more) for more in longer_by]
    both = sum(side * side for side in sides) * sum(root * root for root in roots)
    if not both:
        return 0.0
    with_length = sum(map(math.prod, zip(sides, roots, strict=True)))
    r2 = min(with_length**2 / both, NEARLY_ONE)
    z2 = sum(side != 0 for side in sides) * r2 / (1 - r2)
    return math.copysign(math.sqrt(z2), with_length)
