"""Signs of life of the worker, and how it ends in the middle of long work."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

from labeler.domain.errors import LivedpoError
from labeler.store import Store

ROLE = "worker"
SAY_SECONDS = 5.0

Clock = Callable[[], float]


class Stopped(Exception):
    """The worker was told to stop in the middle of something that can be done anew."""


class SignOfLife:
    """Says what the process of this `name` does: at once if it is news, else every few seconds."""

    def __init__(
        self, store: Store, clock: Clock, stop: threading.Event, *, name: str = ROLE
    ) -> None:
        self._store = store
        self.name = name
        self._clock = clock
        self._stop = stop
        self._said = ""
        self._said_at = 0.0
        self._lock = threading.Lock()

    def say(self, says: str) -> None:
        """Write it down where people see it."""
        with self._lock:
            self._say(says)

    def go_on(self) -> None:
        """Between the parts of long work: say it again. Raises Stopped if told to stop."""
        if self._stop.is_set():
            raise Stopped
        if self._said:
            self.say(self._said)

    @contextlib.contextmanager
    def kept_up(self) -> Iterator[None]:
        """Meanwhile say it again from a thread: for work that has no parts, as loading a model."""
        ended = threading.Event()

        def repeat() -> None:
            while not ended.wait(SAY_SECONDS):
                with contextlib.suppress(LivedpoError), self._lock:
                    self._say(self._said)

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _say(self, says: str) -> None:
        now = self._clock()
        if says != self._said or now - self._said_at >= SAY_SECONDS:
            self._store.processes.say(self.name, says, pid=os.getpid(), now=now)
            self._said, self._said_at = says, now
