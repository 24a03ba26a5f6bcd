"""A value that is worked out now and then, and kept for all threads of this process."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
MIN_AGE_SECONDS = 1.0


class Kept(Generic[T]):
    """The last value, until it is `max_age_seconds` old or forgotten.

    One caller works it out. Those who come meanwhile get the last one, or wait if there is none. An
    error goes to the caller; the next one tries again. With a `busy_share` the value is kept for
    less time, but for so long that working it out takes no more than this share of a core.
    `clock`: seconds, of a clock that never goes back.
    """

    def __init__(
        self,
        max_age_seconds: float,
        *,
        busy_share: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_age = max_age_seconds
        self._busy_share = busy_share
        self._clock = clock
        self._turn = Lock()
        self._value: T
        self._made_at = self._forgotten_at = self._ends_at = float("-inf")

    def get(self, make: Callable[[], T]) -> T:
        """The value, from `make` if it is old."""
        if self._turn.acquire(blocking=self._is_void()):
            try:
                if self._is_void() or self._clock() >= self._ends_at:
                    self._make(make)
            finally:
                self._turn.release()
        return self._value

    def forget(self) -> None:
        """Work it out anew next time, and whatever is being worked out now."""
        self._forgotten_at = self._clock()

    def _is_void(self) -> bool:
        return self._made_at <= self._forgotten_at

    def _make(self, make: Callable[[], T]) -> None:
        began, busy = self._clock(), time.thread_time()
        self._value = make()
        age = self._max_age
        if self._busy_share is not None:
            took = time.thread_time() - busy
            age = min(age, max(MIN_AGE_SECONDS, took / self._busy_share))
        self._made_at, self._ends_at = began, began + age  # it tells what was there by then
