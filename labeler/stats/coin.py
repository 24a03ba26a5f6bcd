"""Exact tests: against a fair coin, and of one share against another.

SciPy takes a second to load, so it waits until there is one.
"""


def two_sided_p(hits: int, count: int) -> float:
    """How likely a fair coin is to fall as unevenly as this, or more.

    >>> two_sided_p(9, 10)
    0.021484375
    """
    return _p(hits, count, "two-sided")


def at_least(hits: int, count: int) -> float:
    """How likely a fair coin is to show at least as many heads as `hits` in `count` throws.

    >>> at_least(6, 6)
    0.015625
    """
    return _p(hits, count, "greater")


def as_many_by_chance(hits: int, count: int, others: int, of: int) -> float:
    """How likely it is that `hits` of `count` or more are drawn by lot from all, hits and `others`.

    `others` of `of` are hits on the other side (Fisher 1934, exact test, one-sided).

    >>> round(as_many_by_chance(3, 3, 0, 3), 3)  # one of the 20 ways to draw three of six
    0.05
    """
    from scipy.stats import hypergeom

    return float(hypergeom.sf(hits - 1, count + of, hits + others, count))


def _p(hits: int, count: int, alternative: str) -> float:
    if not count:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(hits, count, alternative=alternative).pvalue)
