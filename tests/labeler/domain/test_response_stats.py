"""How a version answers: figures of small samples, counted by hand."""

import math
from pathlib import Path

import pytest

from labeler.domain.response_stats import Said, Style, repetition, style
from labeler.store import open_store
from tests.support.tiny import fill


def test_repetition_is_the_share_of_sequences_that_came_before() -> None:
    """1 2 3 4 1 2 3 4 has five sequences of four, of which the last repeats the first."""
    assert repetition([1, 2, 3, 4, 1, 2, 3, 4]) == pytest.approx(1 / 5)
    assert repetition([7] * 10) == pytest.approx(6 / 7)
    assert repetition([1, 2, 3]) == 0.0


def test_style_is_the_mean_over_responses() -> None:
    found = style([Said([1, 2, 3, 0], "stop"), Said([7] * 10, "length")])
    assert (found.tokens, found.unfinished) == (7.0, 0.5)
    assert found.repetition == pytest.approx(3 / 7)


def test_distinct_counts_a_sequence_once_wherever_in_the_sample_it_stands() -> None:
    """1 2 3 4 5 has the sequences 1234 and 2345, and so has its twin; 7 x 5 has 7777 twice.

    Six sequences, of which 1234, 2345 and 7777 are distinct. No response repeats another's in
    itself, so `repetition` does not see the twins.
    """
    twins = [Said([1, 2, 3, 4, 5], "stop")] * 2
    assert style([*twins, Said([7] * 5, "stop")]).distinct == pytest.approx(3 / 6)
    assert style(twins).repetition == 0.0
    assert style([Said([1, 2, 3], "stop")]).distinct == 1.0


def test_entropy_is_minus_the_mean_log_probability_of_a_token() -> None:
    """A coin's two faces have ln 2 nats each: 3 ln 2 over 3 tokens, and ln 2 over 1."""
    tosses = [Said([1, 0, 1], "stop", -3 * math.log(2)), Said([0], "stop", -math.log(2))]
    assert style(tosses).entropy == pytest.approx(math.log(2))


def test_a_long_response_counts_for_more_of_the_entropy_than_a_short_one() -> None:
    """6 nats over 4 tokens in all, not the mean of 5/1 and 1/3."""
    assert style([Said([1], "stop", -5.0), Said([1, 2, 3], "stop", -1.0)]).entropy == 1.5


def test_entropy_is_of_the_responses_whose_log_probability_is_known() -> None:
    known, unknown = Said([1, 2], "stop", -3.0), Said([1, 2, 3, 4], "stop")
    assert style([known, unknown]).entropy == 1.5
    assert style([unknown]).entropy is None
    assert math.isnan(style([known, Said([1], "stop", math.nan)]).entropy or 0.0)


def test_the_store_says_what_a_version_said_and_nothing_of_what_it_does_not_know(
    tmp_path: Path,
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'livedpo.sqlite'}")
    fill(store, 2)
    said = [one for answered in store.queue.answers(0) for one in answered.said]
    assert said == [Said([21, 22, 0], "stop"), Said([23, 24, 25, 0], "stop")] * 2
    assert style(said) == Style(3.5, 0.0, 0.0, distinct=0.5, entropy=None)
    assert store.queue.answers(1) == []
