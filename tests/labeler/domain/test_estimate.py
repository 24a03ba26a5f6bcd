"""A figure with its interval: where there is one, and how it is written."""

import math

import pytest

from labeler.domain.estimate import Estimate, wilson


def test_wilsons_interval_is_the_published_one() -> None:
    """Newcombe (1998), table I, method 3: 81 of 263 give 0.2553 to 0.3662, 0 of 20 up to 0.1611."""
    assert wilson(81, 263) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    assert wilson(0, 20) == (pytest.approx(0.0), pytest.approx(0.1611, abs=1e-4))


def test_a_share_of_nothing_says_why_there_is_none() -> None:
    assert Estimate.share(0, 0, "nobody voted") == Estimate.none("nobody voted")
    none = Estimate.none("nobody voted")
    assert (none.value, none.low, none.high, none.count) == (None, None, None, 0)


def test_a_share_comes_with_wilsons_interval_and_half_hits_count() -> None:
    assert Estimate.share(5.5, 10, "none") == Estimate(0.55, *wilson(5.5, 10), 10)


@pytest.mark.parametrize(
    "estimate", [Estimate(0.5, 0.25, 0.75, 12), Estimate.none("nothing was compared", 3)]
)
def test_an_estimate_is_read_as_it_was_written(estimate: Estimate) -> None:
    assert Estimate.from_json(estimate.to_json()) == estimate


def test_json_has_four_digits_and_no_word_for_what_is_not_finite() -> None:
    written = Estimate(1 / 3, -math.inf, math.nan, 1).to_json()
    assert written == {"value": 0.3333, "low": None, "high": None, "count": 1, "why": None}
