"""A win rate at equal length: length alone wins nothing, and what wins without it still does."""

import math
import random

import pytest
from scipy.optimize import minimize

from labeler.stats.equal_length import SPREAD_OF_A, SPREAD_OF_B, TOO_FEW, at_equal_length


def compared(
    count: int, *, better: float, length: float, longer: float, seed: int = 0
) -> tuple[list[float], list[float]]:
    """Comparisons by a judge with these weights, of a version that writes `longer` on average."""
    rng = random.Random(seed)
    ratios = [rng.gauss(longer, 0.4) for _ in range(count)]
    chances = [1 / (1 + math.exp(-(better + length * ratio))) for ratio in ratios]
    return [float(rng.random() < chance) for chance in chances], ratios


def test_a_version_that_only_writes_more_wins_nothing_at_equal_length() -> None:
    wins, longer = compared(400, better=0.0, length=3.0, longer=0.5)
    found = at_equal_length(wins, longer)
    assert sum(wins) / len(wins) > 0.7
    assert found.low < 0.5 < found.high
    assert 0.4 < found.value < 0.6


def test_a_better_one_that_writes_less_wins_at_equal_length() -> None:
    wins, longer = compared(400, better=1.0, length=3.0, longer=-0.5)
    assert sum(wins) / len(wins) < 0.5
    assert at_equal_length(wins, longer).low > 0.5


def test_the_interval_holds_the_truth_in_most_draws() -> None:
    truth = 1 / (1 + math.exp(-0.5))
    inside = 0
    for seed in range(200):
        found = at_equal_length(*compared(64, better=0.5, length=1.0, longer=0.3, seed=seed))
        inside += found.low <= truth <= found.high
    assert inside >= 180


def test_it_is_the_optimum_of_the_penalised_likelihood() -> None:
    wins, longer = compared(60, better=0.3, length=1.0, longer=0.2)
    wins[0] = 0.5

    def loss(ab: list[float]) -> float:
        margins = [ab[0] + ab[1] * one for one in longer]
        misfit = sum(
            math.log1p(math.exp(-m)) + (1 - won) * m for m, won in zip(margins, wins, strict=True)
        )
        return float(misfit + (ab[0] / SPREAD_OF_A) ** 2 / 2 + (ab[1] / SPREAD_OF_B) ** 2 / 2)

    best = minimize(loss, [0.0, 0.0]).x
    assert at_equal_length(wins, longer).value == pytest.approx(
        1 / (1 + math.exp(-best[0])), abs=1e-4
    )


def test_where_all_is_won_it_stays_finite_and_of_few_it_says_nothing() -> None:
    found = at_equal_length([1.0] * 32, [0.1] * 32)
    assert found.value < 1
    assert found.low > 0.8
    assert at_equal_length([1.0] * 4, [0.0] * 4).why == TOO_FEW
