"""Exact tests against a fair coin. SciPy takes a second to load, so it waits until there is one."""


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


def _p(hits: int, count: int, alternative: str) -> float:
    if not count:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(hits, count, alternative=alternative).pvalue)
