"""A permutation test (Fisher 1935; Pitman 1937): is a rise of a mean more than chance?

It asks nothing of how the values are spread: that a few replies go round in circles and most do not
at all is usual. SciPy takes a second to load, so it waits until there is one.
"""

from collections.abc import Sequence

DRAWS = 1999  # where there are more ways than that to deal the values out


def as_high_by_chance(new: Sequence[float], old: Sequence[float]) -> float:
    """How likely the mean of `new` is to be as far above that of `old` if both are dealt by lot.

    Each has at least two values. The same values give the same answer.

    >>> round(as_high_by_chance([0.9, 0.8, 0.7], [0.1, 0.0, 0.2]), 3)  # one of the 20 ways
    0.05
    """
    import numpy as np
    from scipy.stats import permutation_test

    found = permutation_test(
        (np.asarray(new, dtype=float), np.asarray(old, dtype=float)),
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        vectorized=True,
        alternative="greater",
        n_resamples=DRAWS,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)
