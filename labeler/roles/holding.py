"""A role that one process at a time has, as the process sees it: wait for it, have it, lose it.

    turn(now)  =  beat if it is ours; else take it if nobody has it, or if its holder's beats have
                  stood still for LEASE_SECONDS

The beats are watched by a clock of this process that nobody sets, `steady`: clocks of machines need
not agree, and may be put right. `now` is only written down.
"""

import contextlib
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator

from labeler.domain.errors import LivedpoError
from labeler.domain.process_names import role_of
from labeler.store import Store
from labeler.store.holders import TRAINER, Held

log = logging.getLogger(__name__)

LEASE_SECONDS = 15.0
BEAT_SECONDS = 3.0
WAIT_SECONDS = 1.0

Steady = Callable[[], float]


class Watch:
    """Who has a role, and whether beats still come, by this process's own clock."""

    def __init__(self, store: Store, role: str, steady: Steady) -> None:
        self._holders = store.holders
        self._role = role
        self._steady = steady
        self._seen_at = -math.inf
        self.seen: Held | None = None

    def has_stopped(self) -> bool:
        """Look; whether the beats of who has it have stood still for LEASE_SECONDS."""
        now, held = self._steady(), self._holders.look(self._role)
        if held != self.seen:
            self.seen, self._seen_at = held, now
        return now - self._seen_at >= LEASE_SECONDS


class Holding:
    """This process's hold on a role, or its wait for it. `holder` is the name of the process.

    Its `token` is a new one each time that it takes the role.
    """

    def __init__(
        self, store: Store, role: str, *, holder: str, steady: Steady = time.monotonic
    ) -> None:
        self._holders = store.holders
        self._role = role
        self._holder = holder
        self._watch = Watch(store, role, steady)
        self._turn = threading.Lock()
        self.token = ""
        self.is_held = False

    def turn(self, now: float, *, alone: bool = False) -> bool:
        """Beat, or try to take it; whether it is ours now.

        `alone`: no other worker lives, so one that has the role is dead.
        """
        with self._turn:
            if self.is_held:
                self.is_held = self._holders.beat(self._role, self.token, now=now)
            else:
                self.is_held = self._taken(now, alone=alone)
            return self.is_held

    def _taken(self, now: float, *, alone: bool) -> bool:
        has_stopped = self._watch.has_stopped()
        held = self._watch.seen
        is_free = held is None or (alone and role_of(held.holder) == "worker")
        if not (is_free or has_stopped):
            return False
        self.token = uuid.uuid4().hex
        return self._holders.take(
            self._role, self.token, holder=self._holder, instead_of=held, now=now
        )

    @property
    def elsewhere(self) -> str:
        """The name of the process that has it, as far as it was seen."""
        return self._watch.seen.holder if self._watch.seen else "nobody"

    def _give_up(self) -> None:
        """Let the next one have it at once, if the database can be told."""
        with self._turn, contextlib.suppress(LivedpoError):
            self.is_held = False
            self._holders.give_up(self._role, self.token)

    @contextlib.contextmanager
    def kept_up(self, stop: threading.Event) -> Iterator[None]:
        """Meanwhile, from a thread: take it whenever it is free, and beat while it is ours.

        Then let the next one have it.
        """
        ended = threading.Event()

        def turn() -> None:
            while not (stop.wait(BEAT_SECONDS if self.is_held else WAIT_SECONDS) or ended.is_set()):
                try:
                    self.turn(time.time())
                except LivedpoError as error:  # the database is away: whoever writes will see
                    log.warning("%s", error)

        threading.Thread(target=turn, daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            self._give_up()


class Rival:
    """Whether a worker is at work somewhere: it does all that samplers do, and they stand by.

    One has the role `TRAINER`, and its beats go on.
    """

    def __init__(self, store: Store, *, steady: Steady = time.monotonic) -> None:
        self._watch = Watch(store, TRAINER, steady)
        self._steady = steady
        self._looked_at = -math.inf
        self._is_there = False

    def is_there(self) -> bool:
        """By what is in the database, where it is looked up once a second at most."""
        now = self._steady()
        if now - self._looked_at >= WAIT_SECONDS:
            self._looked_at = now
            with contextlib.suppress(LivedpoError):  # the database is away: whoever works will see
                self._look()
        return self._is_there

    def _look(self) -> None:
        has_stopped = self._watch.has_stopped()
        held = self._watch.seen
        self._is_there = not has_stopped and held is not None and role_of(held.holder) == "worker"


class StopOrLost(threading.Event):
    """Set by whoever stops the process, and once it has lost the role that it has now."""

    def __init__(self, stop: threading.Event, holding: Holding) -> None:
        super().__init__()
        self._stop = stop
        self._holding = holding
        self._token = holding.token

    def is_set(self) -> bool:
        """Whether to end."""
        is_ours = self._holding.is_held and self._holding.token == self._token
        return self._stop.is_set() or not is_ours

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the stop; a role that is lost is noticed when the time is over."""
        self._stop.wait(timeout)
        return self.is_set()
