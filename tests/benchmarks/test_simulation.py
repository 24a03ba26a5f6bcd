"""The simulated loop obeys laws that hold whatever it is made of."""

import math

import pytest

from tests.benchmarks.simulation import Found, Loop, Rates

AT_EASE = Rates(10, 10.0, 0.1, 5.0, 0.1, samplers=1)
OVERRUN = Rates(60, 5.0, 0.5, 20.0, 0.5)
SECONDS = 2000.0


def found(rates: Rates, seed: int = 0) -> Found:
    return Loop(rates, seed).run(SECONDS, warm_up=200.0)


def test_where_nobody_waits_people_vote_as_fast_as_they_read() -> None:
    """Votes are a Poisson process of 1 a second: 2,000, give or take four times their root."""
    ease = found(AT_EASE)
    assert ease.waited == 0
    assert ease.votes_per_second == pytest.approx(1, abs=4 * math.sqrt(1 / SECONDS))


@pytest.mark.parametrize("rates", [AT_EASE, OVERRUN])
def test_everybody_reads_or_waits(rates: Rates) -> None:
    """Little's law: people = votes a second x seconds between two votes of one.

    Off by whoever is under way as it begins and ends, and by how far the mean of n exponential
    times is off: four times 1 / sqrt(n).
    """
    run = found(rates)
    between = rates.vote_seconds + run.wait_seconds
    votes = run.votes_per_second * SECONDS
    assert run.votes_per_second * between == pytest.approx(
        rates.raters, rel=4 / math.sqrt(votes) + rates.raters / votes
    )


def test_people_who_are_faster_than_the_machine_take_all_that_it_samples() -> None:
    run = found(OVERRUN)
    assert run.wasted == 0
    assert run.waited > 0.9
    assert run.votes_per_second < 1 / OVERRUN.pair_seconds


def test_without_updates_nothing_grows_old_and_nothing_is_in_vain() -> None:
    run = found(Rates(10, 10.0, 0.1, 5.0, 0.1, labels=10**9))
    assert (run.staleness, run.too_old, run.wasted, run.updates_per_hour) == (0, 0, 0, 0)


def test_versions_that_come_faster_make_older_pairs_and_more_in_vain() -> None:
    often, seldom = (found(Rates(10, 10.0, 0.1, 1.0, 0.0, labels=n, samplers=1)) for n in (8, 64))
    assert often.updates_per_hour > 4 * seldom.updates_per_hour
    assert often.staleness > 2 * seldom.staleness
    assert often.wasted > 2 * seldom.wasted
