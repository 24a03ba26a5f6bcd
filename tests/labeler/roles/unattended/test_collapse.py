"""The guard on made-up styles: each limit on both sides of it."""

import math
from dataclasses import replace

import pytest

from labeler.config.parts.budgets import Budgets
from labeler.domain.response_stats import Said, Style
from labeler.roles.unattended.collapse import MIN_RESPONSES, alike, collapsed

LIMITS = Budgets()
FIRST = Style(tokens=30.0, unfinished=0.05, repetition=0.02, distinct=0.5, entropy=0.8)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tokens": 71.0}, "71 tokens on average, the first version's had 30 (more than 2 times)"),
        ({"tokens": 60.1}, "60 tokens on average, the first version's had 30 (more than 2 times)"),
        ({"tokens": 14.9}, "15 tokens on average, the first version's had 30 (less than 1/2 of"),
        ({"tokens": math.nan}, "nan tokens on average"),
        (
            {"unfinished": 0.36},
            "36% of its responses are cut off, against 5% of the first version's",
        ),
        ({"unfinished": math.nan}, "are cut off"),
        ({"entropy": 0.19}, "0.19 nats a token, the first version's was 0.80 (less than 25% of"),
        ({"entropy": math.nan}, "nan nats a token"),
        ({"distinct": 0.19}, "19% of its four-token sequences are distinct, against"),
        ({"distinct": math.nan}, "are distinct"),
    ],
)
def test_each_limit_fires_just_beyond_it(change: dict[str, float], says: str) -> None:
    (sentence,) = collapsed(FIRST, replace(FIRST, **change), LIMITS)  # type: ignore[arg-type]
    assert says in sentence


@pytest.mark.parametrize(
    "now",
    [
        FIRST,
        replace(FIRST, tokens=60.0, unfinished=0.34, distinct=0.201, entropy=0.201),
        replace(FIRST, tokens=15.0, unfinished=0.0, distinct=1.0, entropy=3.0, repetition=0.9),
    ],
)
def test_no_limit_fires_within_it(now: Style) -> None:
    assert collapsed(FIRST, now, LIMITS) == []


def test_an_entropy_that_nobody_knows_is_no_sign() -> None:
    assert collapsed(FIRST, replace(FIRST, entropy=None), LIMITS) == []
    assert collapsed(replace(FIRST, entropy=None), replace(FIRST, entropy=0.0), LIMITS) == []


def test_empty_responses_are_a_collapse_and_divide_by_nothing() -> None:
    empty = Style(tokens=0.0, unfinished=0.0, repetition=0.0)
    assert len(collapsed(FIRST, empty, LIMITS)) == 1
    assert collapsed(empty, empty, LIMITS) == []


def test_each_sign_has_a_sentence_of_its_own() -> None:
    wreck = Style(tokens=160.0, unfinished=1.0, repetition=1.0, distinct=0.01, entropy=0.001)
    assert len(collapsed(FIRST, wreck, LIMITS)) == 4


def test_only_equally_many_responses_are_compared_and_only_enough_of_them() -> None:
    """A sample of twice the same responses has half the share of distinct sequences."""
    said = [Said([n, n + 1, n + 2, n + 3], "stop") for n in range(MIN_RESPONSES)]
    found = alike(said, said * 2)
    assert found is not None
    assert found[0].distinct == found[1].distinct == 1.0
    assert alike(said, said[1:]) is None


@pytest.mark.parametrize(
    "wide",
    [
        Budgets(stop_length_change=6.0),
        Budgets(stop_unfinished_rise=1.0),
        Budgets(stop_entropy_share=0.0),
        Budgets(stop_distinct_share=0.0),
    ],
)
def test_each_sign_has_a_limit_of_its_own_in_the_settings(wide: Budgets) -> None:
    wreck = Style(tokens=160.0, unfinished=1.0, repetition=1.0, distinct=0.01, entropy=0.001)
    assert len(collapsed(FIRST, wreck, wide)) == 3
