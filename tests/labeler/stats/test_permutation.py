"""A rise of a mean against chance: exact where there are few values, and at its level elsewhere."""

import random

import pytest

from labeler.stats.permutation import as_high_by_chance


def test_few_values_are_dealt_out_in_every_way() -> None:
    assert as_high_by_chance([1.0, 1.0], [0.0, 0.0]) == pytest.approx(1 / 6)
    assert as_high_by_chance([0.0, 0.0], [1.0, 1.0]) == 1
    assert as_high_by_chance([0.5] * 4, [0.5] * 4) == 1


def looping(rng: random.Random, count: int, share: float) -> list[float]:
    """Replies of which this share goes round in circles, as repeated sequences."""
    return [
        rng.uniform(0.5, 0.95) if rng.random() < share else rng.uniform(0, 0.05)
        for _ in range(count)
    ]


def test_a_few_loops_more_are_chance_and_a_version_that_loops_is_not() -> None:
    rng = random.Random(0)
    called = [
        [as_high_by_chance(looping(rng, 32, new), looping(rng, 64, 0.1)) <= 0.05 for _ in range(30)]
        for new in (0.1, 0.6)
    ]
    assert sum(called[0]) <= 5, "one or two in thirty are called a rise by chance"
    assert sum(called[1]) >= 29


def test_the_same_values_give_the_same_answer() -> None:
    rng = random.Random(1)
    new, old = looping(rng, 32, 0.3), looping(rng, 32, 0.1)
    assert as_high_by_chance(new, old) == as_high_by_chance(new, old)
