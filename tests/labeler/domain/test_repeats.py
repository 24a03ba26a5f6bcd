"""Trouble that comes again and again."""

import itertools
import random

from labeler.domain.repeats import QUIET_SECONDS, Repeats


def test_whatever_comes_each_sentence_is_said_once_a_minute_and_every_time_is_counted() -> None:
    rng, now, repeats = random.Random(1), 0.0, Repeats()
    said: dict[str, list[float]] = {"full": [], "busy": []}
    came, told = dict.fromkeys(said, 0), dict.fromkeys(said, 0)
    for _ in range(5000):
        now += rng.expovariate(1.0)
        sentence = rng.choice([*said])
        came[sentence] += 1
        held_back = repeats.since(sentence, now)
        if held_back is not None:
            told[sentence] += held_back + 1
            assert not said[sentence] or now - said[sentence][-1] >= QUIET_SECONDS
            said[sentence].append(now)
    for sentence, times in said.items():
        assert came[sentence] - told[sentence] < 200, "all but those since it was said last"
        assert all(b - a < QUIET_SECONDS + 30 for a, b in itertools.pairwise(times))


def test_a_clock_that_is_set_back_silences_nothing() -> None:
    repeats = Repeats()
    assert repeats.since("full", 10_000.0) == 0
    assert repeats.since("full", 50.0) == 0
