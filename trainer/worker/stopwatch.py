"""Where a worker's time goes, by kind of work."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Kind = Literal["sampling", "judging", "training", "gating"]


class Stopwatch:
    """Adds up the seconds of each kind of work; what is not timed is the rest."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def timing(self, kind: Kind) -> Iterator[None]:
        """Count what happens in this context as this kind of work."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[kind] += time.perf_counter() - begin

    def take(self) -> dict[str, float]:
        """What was counted since the last call."""
        taken = dict(self._seconds)
        self._seconds.clear()
        return taken
