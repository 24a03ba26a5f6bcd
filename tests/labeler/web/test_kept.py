"""What is kept, for how long, and what those get who come while it is worked out."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from labeler.web.kept import Kept
from tests.support.patience import PATIENCE_SECONDS
from tests.support.tiny import Clock


def counter() -> Callable[[], int]:
    numbers: Iterator[int] = iter(range(100))
    return lambda: next(numbers)


def test_a_value_is_kept_until_it_is_old() -> None:
    clock, make = Clock(0.0, step=0), counter()
    kept = Kept[int](10.0, clock=clock)
    assert [kept.get(make), kept.get(make)] == [0, 0]
    clock.now = 9.9
    assert kept.get(make) == 0
    clock.now = 10.0
    assert [kept.get(make), kept.get(make)] == [1, 1]


def test_a_value_that_is_forgotten_is_made_anew() -> None:
    clock, make = Clock(0.0, step=0), counter()
    kept = Kept[int](10.0, clock=clock)
    assert kept.get(make) == 0
    clock.now = 1.0
    kept.forget()
    assert kept.get(make) == 1


def test_an_error_goes_to_who_asked_and_the_next_one_tries_again() -> None:
    kept = Kept[int](10.0, clock=Clock(0.0, step=0))

    def fail() -> int:
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        kept.get(fail)
    assert kept.get(lambda: 7) == 7


def test_those_who_come_meanwhile_wait_for_the_first_value_and_else_get_the_last() -> None:
    clock, begun, go_on = Clock(0.0, step=0), Event(), Event()
    kept = Kept[int](10.0, clock=clock)

    def slow(value: int) -> int:
        begun.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return value

    with ThreadPoolExecutor() as threads:
        first = threads.submit(kept.get, lambda: slow(1))
        assert begun.wait(PATIENCE_SECONDS)
        others = [threads.submit(kept.get, lambda: 2) for _ in range(3)]
        go_on.set()
        assert [each.result() for each in (first, *others)] == [1] * 4
        clock.now = 20.0
        begun.clear()
        go_on.clear()
        second = threads.submit(kept.get, lambda: slow(3))
        assert begun.wait(PATIENCE_SECONDS)
        assert kept.get(lambda: 4) == 1
        kept.forget()
        clock.now = 21.0
        go_on.set()
        assert second.result() == 3
        assert kept.get(lambda: 5) == 5, "what was begun before it was forgotten does not count"


def test_a_value_that_is_quickly_made_is_kept_for_less_time() -> None:
    clock, make = Clock(0.0, step=0), counter()
    kept = Kept[int](1000.0, busy_share=0.5, clock=clock)
    assert kept.get(make) == 0
    clock.now = 0.9
    assert kept.get(make) == 0
    clock.now = 500.0
    assert kept.get(make) == 1
