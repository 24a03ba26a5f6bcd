"""Between the parts of long work: a sign of life, and what people wait for.

Whatever may take longer than a few seconds calls this between its parts, where no adapter is in
use: forward passes over many texts, fits, and steps of an update. So the worker is heard as long as
it gets on, and no longer.
"""

from collections.abc import Callable
from typing import Protocol

from trainer.worker.life import Clock


class Pause(Protocol):
    """What is called between the parts of work; it may be told what is done."""

    def __call__(self, says: str | None = None) -> None:
        """Raises Stopped, and what serving people does."""


class Between:
    """`serve` gives people what they wait for, where this process is who does.

    It is told how many seconds the work has taken since the last time.
    """

    def __init__(self, say: Callable[[str], None], go_on: Callable[[], None], clock: Clock) -> None:
        self._say = say
        self._go_on = go_on
        self._clock = clock
        self._since = 0.0
        self.serve: Callable[[float], None] = lambda _: None

    def begin(self) -> "Pause":
        """Work begins now; its pause."""
        self._since = self._clock()
        return self.pause

    def pause(self, says: str | None = None) -> None:
        """Say what is done, or again what was; then people get theirs. Raises Stopped."""
        self._go_on()
        if says is not None:
            self._say(says)
        self.serve(self._clock() - self._since)
        self._since = self._clock()
