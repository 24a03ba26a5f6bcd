"""How many pairs are kept ready, in which batches, and how long people wait for them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from trainer.worker.pace import (
    AHEAD_SECONDS,
    MANY_AHEAD_SECONDS,
    MAX_BATCH_PAIRS,
    MAX_QUICK_PAIRS,
    MIN_AHEAD_PAIRS,
    MIN_BATCH_PAIRS,
    Pace,
    demand,
    pairs_ahead,
)

QUEUE_PAIRS = 24
TICK = 0.05


def test_after_few_votes_nobody_is_known_to_be_quick_and_after_many_they_are() -> None:
    """The prior is a pair in ten seconds, and weighs two: 3 / 21, then 32 / 95."""
    assert demand(0, 0.0) == 0.1
    assert demand(1, 1.0) == pytest.approx(3 / 21)
    assert demand(30, 75.0) == pytest.approx(32 / 95)


def test_the_queue_holds_what_people_take_in_two_minutes_within_its_bounds() -> None:
    assert AHEAD_SECONDS == 120
    assert pairs_ahead(0.1, QUEUE_PAIRS) == 12
    assert pairs_ahead(0.4, QUEUE_PAIRS) == QUEUE_PAIRS
    assert pairs_ahead(1 / 600, QUEUE_PAIRS) == MIN_AHEAD_PAIRS
    assert pairs_ahead(1 / 600, 2) == 2


def test_for_many_people_the_queue_is_as_deep_as_they_take_in_twenty_seconds() -> None:
    """Fifty people, a vote in seven seconds each; so few as three take no more than the bound."""
    assert MANY_AHEAD_SECONDS == 20
    assert pairs_ahead(50 / 7, QUEUE_PAIRS) == 143
    assert pairs_ahead(3 / 7, QUEUE_PAIRS) == QUEUE_PAIRS


def test_the_queue_is_filled_to_the_brim_and_then_again_once_half_is_gone() -> None:
    pace = Pace()
    assert [pace.lacking(ready, 12) for ready in (0, 8, 12)] == [12, 4, 0]
    assert [pace.lacking(ready, 12) for ready in (11, 7, 6, 9, 12)] == [0, 0, 6, 3, 0]


def test_a_batch_is_as_large_as_people_have_time_for() -> None:
    """Three seconds a pair, and a vote in ten: for 4 ready pairs there are 40 seconds, so 13."""
    pace = Pace()
    assert pace.batch(100, 0.1) == MIN_BATCH_PAIRS, "nothing is known yet"
    pace.took(8, 24.0)
    assert [pace.batch(ready, 0.1) for ready in (0, 4, 100)] == [8, 13, MAX_BATCH_PAIRS]


def test_what_is_drawn_at_once_is_drawn_together_however_little_people_took() -> None:
    """Where many wait, what they take is what is drawn, and tells nothing."""
    pace, hardly = Pace(), 0.1
    pace.took(8, 0.8)
    assert pace.batch(0, hardly) == 20
    pace.took(20, 1.0)
    assert pace.batch(0, hardly) == 40
    pace.took(40, 1.0)
    assert pace.batch(0, hardly) == MAX_QUICK_PAIRS
    pace.took(8, 24.0)
    assert pace.batch(0, hardly) == MIN_BATCH_PAIRS


def test_a_clock_that_was_set_back_tells_nothing_wrong() -> None:
    pace = Pace()
    for seconds in (0.0, -3600.0):
        pace.took(8, seconds)
        assert pace.batch(0, 0.1) == MAX_BATCH_PAIRS


def test_in_the_middle_of_an_update_no_more_is_drawn_than_the_queue_lacks() -> None:
    pace = Pace()
    pace.took(40, 1.0)
    assert pace.refill(0, 0.1, full=12, seconds=9.0) == 12
    assert pace.refill(10, 0.1, full=12, seconds=9.0) == MIN_BATCH_PAIRS, "fewer take as long"


def test_after_a_long_part_of_an_update_people_get_three_times_as_long() -> None:
    """Eight pairs a second: in the batch alone the update would have had more than half."""
    pace = Pace()
    pace.took(8, 1.0)
    assert pace.batch(0, 7.0) == 16
    assert [pace.refill(0, 7.0, full=140, seconds=part) for part in (0.1, 1.0, 2.0)] == [16, 24, 48]
    assert pace.refill(0, 7.0, full=140, seconds=60.0) == MAX_QUICK_PAIRS


@dataclass
class Sampler:
    """A batch of n pairs takes `fixed` + n `each` seconds; its pairs are complete one by one."""

    fixed: float
    each: float

    def seconds(self, pairs: int) -> float:
        return self.fixed + pairs * self.each

    def done(self, pairs: int) -> list[float]:
        """When each pair is complete: the first after a third of the time."""
        return [self.seconds(pairs) * (1 + 2 * n / pairs) / 3 for n in range(1, pairs + 1)]


# On two cores: a single pair takes about 8 seconds, and 8 of them three seconds each.
SMOLLM2 = Sampler(5.7, 2.3)
STARTER = Sampler(0.05, 0.05)

Plan = Callable[[int, float, list[float]], int]  # pairs ready, now, when votes came -> pairs


@dataclass
class Before:
    """As it was: batches of 1, 2, 4 ... 16 pairs, until the queue is full."""

    next_pairs: int = 1
    streams: bool = False

    def batch(self, ready: int, now: float, votes: list[float]) -> int:
        if ready >= QUEUE_PAIRS:
            self.next_pairs = 1
            return 0
        size = min(max(self.next_pairs, ready), 16)
        self.next_pairs = 2 * size
        return size

    def took(self, pairs: int, seconds: float) -> None:
        """It did not measure."""


@dataclass
class Now:
    """As it is."""

    pace: Pace = field(default_factory=Pace)
    streams: bool = True

    def batch(self, ready: int, now: float, votes: list[float]) -> int:
        recent = [at for at in votes if at > now - 180]
        wanted = demand(len(recent), now - recent[0] if recent else 0.0)
        full = pairs_ahead(wanted, QUEUE_PAIRS)
        return min(self.pace.lacking(ready, full), self.pace.batch(ready, wanted))

    def took(self, pairs: int, seconds: float) -> None:
        self.pace.took(pairs, seconds)


def waits(plan: Before | Now, sampler: Sampler, vote_seconds: float) -> list[float]:
    """What each of 40 votes waits for its pair, from a cold start, in seconds; no updates."""
    found: list[float] = []
    votes: list[float] = []
    coming: list[float] = []
    now = wants_since = thinks_until = busy_until = 0.0
    ready = busy_with = 0
    began = 0.0
    while len(found) < 40:
        ready += sum(at <= now for at in coming)
        coming = [at for at in coming if at > now]
        if now >= busy_until:
            if busy_with:
                plan.took(busy_with, now - began)
            busy_with, began = plan.batch(ready, now, votes), now
            if busy_with:
                busy_until = now + sampler.seconds(busy_with)
                done = sampler.done(busy_with)
                coming = [now + (each if plan.streams else done[-1]) for each in done]
        if now >= thinks_until and ready:
            if found:
                votes.append(thinks_until)
            found.append(now - max(wants_since, thinks_until))
            ready, thinks_until = ready - 1, now + vote_seconds
            wants_since = thinks_until
        now += TICK
    return found


@pytest.mark.parametrize("vote_seconds", [10.0, 60.0])
@pytest.mark.parametrize("sampler", [SMOLLM2, STARTER])
def test_whoever_votes_slower_than_the_sampler_samples_waits_for_the_first_pair_alone(
    sampler: Sampler, vote_seconds: float
) -> None:
    first, *others = waits(Now(), sampler, vote_seconds)
    assert first < 15
    assert max(others) <= 2 * TICK


def test_whoever_votes_faster_waits_less_and_never_for_a_batch() -> None:
    """After the first pair: 57 seconds in all, and 22 at once; now 17, and 4 at once."""
    before, now = (waits(plan, SMOLLM2, 2.5) for plan in (Before(), Now()))
    assert (round(sum(before[1:])), round(max(before[1:]))) == (57, 22)
    assert (round(sum(now[1:])), round(max(now[1:]))) == (17, 4)
    assert max(waits(Now(), STARTER, 2.5)[1:]) <= 2 * TICK
