"""The exact tests against a fair coin, by hand and by binomial coefficients."""

import math

import pytest

from labeler.stats.coin import at_least, two_sided_p


def test_the_coin_test_is_the_exact_binomial_one() -> None:
    assert two_sided_p(9, 10) == two_sided_p(1, 10) == 22 / 1024  # 2 x (1 + 10) / 2^10
    assert two_sided_p(5, 10) == 1.0
    assert two_sided_p(0, 0) == 1.0
    expected = 2 * sum(math.comb(400, k) for k in range(181)) / 2**400
    assert two_sided_p(180, 400) == pytest.approx(expected)


def test_the_one_sided_test_counts_the_upper_tail() -> None:
    """Of 8: (56 + 28 + 8 + 1) / 256. Of 13: (78 + 13 + 1) / 8192."""
    assert at_least(6, 6) == pytest.approx(1 / 64)
    assert at_least(5, 8) == pytest.approx(93 / 256)
    assert at_least(11, 13) == pytest.approx(92 / 8192)
    assert at_least(0, 5) == at_least(0, 0) == 1.0
