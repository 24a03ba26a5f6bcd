"""People who rate at the same time, each in a thread with a connection of their own, and what it
took. The same for every service, which brings its own `Rater`.
"""

import http.client
import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

PATIENCE_SECONDS = 60.0
FASTEST_TASKS_PER_SECOND = 25
LOOK_SECONDS = 1.0
RETRY_SECONDS = 0.5
FIRST_SECONDS = 30.0  # until as much is drawn as so many people take
LOST = (OSError, http.client.HTTPException)


class Connection:
    """One connection that stays open, as a browser tab has."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._headers = headers
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of the answer. Raises one of `LOST` if there is none."""
        sent = None if body is None else json.dumps(body)
        kind = {} if body is None else {"content-type": "application/json"}
        try:
            self._http.request(method, path, sent, self._headers | kind)
            answer = self._http.getresponse()
            return answer.status, answer.read()
        except LOST:
            self._http.close()
            raise


@dataclass
class Tally:
    """What one rater did. Times in seconds; `both` is a vote and what fetched the next pair."""

    sent: set[str] = field(default_factory=set)
    saved: set[str] = field(default_factory=set)
    again: int = 0  # sent a second time on purpose
    vote: list[float] = field(default_factory=list)
    both: list[float] = field(default_factory=list)
    empty: int = 0  # votes after which no pair was there to show
    empty_at_first: int = 0  # those of them in FIRST_SECONDS after the rater came
    waited: float = 0.0  # without anything to vote on
    errors: Counter[str] = field(default_factory=Counter)


class Rater(Protocol):
    """Somebody at a service."""

    tally: Tally

    def is_ready(self) -> bool:
        """Whether there is something to vote on; asks for it if there is not."""

    def vote(self) -> None:
        """Vote on it, and ask for the next."""

    def look(self) -> None:
        """What their page does each second while they think."""


@dataclass(frozen=True)
class Pace:
    """Seconds that a vote takes people, drawn evenly between these; 0 and 0: none at all."""

    least: float
    most: float

    def draw(self, rng: random.Random) -> float:
        return rng.uniform(self.least, self.most)


KEY_PACE = Pace(1.5, 3.0)  # of the one in Chromium, unless it is told otherwise


@dataclass(frozen=True)
class Plan:
    """What is run: how many people, for how long, at what pace, on which settings."""

    raters: int
    seconds: float
    pace: Pace
    labels_per_update: int
    queue_pairs: int
    cooldown_seconds: float
    keyboard: bool
    key_pace: Pace = KEY_PACE
    settings: Mapping[str, str] = field(default_factory=dict)  # others of the service

    @property
    def trains(self) -> bool:
        return self.pace.most > 0

    @property
    def tasks(self) -> int:
        """More than all of them get through, at a service of the usual speed."""
        each = (self.seconds / self.pace.least if self.pace.least else 0) + 3
        least = FASTEST_TASKS_PER_SECOND * self.seconds
        return int(min(self.raters * each, least) if self.trains else least)


class Crowd:
    """Raters in threads, for so many seconds."""

    def __init__(self, raters: Sequence[Rater], pace: Pace, *, seconds: float, seed: int) -> None:
        self._pace = pace
        self._ends = time.monotonic() + seconds
        self._threads = [
            threading.Thread(target=self._live, args=(rater, random.Random(f"{seed}-{number}")))
            for number, rater in enumerate(raters)
        ]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Until all have gone."""
        for thread in self._threads:
            thread.join()

    def _live(self, rater: Rater, rng: random.Random) -> None:
        time.sleep(rng.random() * self._pace.most)  # they do not all come at once
        while time.monotonic() < self._ends:
            begin = time.monotonic()
            if not rater.is_ready():
                time.sleep(RETRY_SECONDS)
                rater.tally.waited += time.monotonic() - begin
                continue
            self._think(rater, self._pace.draw(rng))
            rater.vote()

    def _think(self, rater: Rater, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(LOOK_SECONDS, left))
            rater.look()


@dataclass(frozen=True)
class Spread:
    """Milliseconds: quantiles of many."""

    p50: float
    p95: float
    p99: float
    longest: float
    count: int


def spread(seconds: Sequence[float]) -> Spread | None:
    """The quantiles by nearest rank; None of nothing."""
    if not seconds:
        return None
    ranked = sorted(1000 * value for value in seconds)

    def quantile(share: float) -> float:
        return round(ranked[math.ceil(share * len(ranked)) - 1], 1)

    return Spread(quantile(0.5), quantile(0.95), quantile(0.99), quantile(1.0), len(ranked))


@dataclass(frozen=True)
class Figures:
    """What a crowd came to.

    `empty` votes left their rater without a pair, some of them `at_first`. `lost` ones were called
    saved and are not there; `doubled` ones count twice.
    """

    raters: int
    seconds: float
    saved: int
    saved_per_second: float
    sent_again: int
    empty: int
    empty_at_first: int
    unsaved: int
    lost: int
    doubled: int
    vote_ms: Spread | None
    vote_and_next_ms: Spread | None
    waited_share: float
    errors: dict[str, int]
    more: dict[str, Any]


def figures(
    raters: Sequence[Rater], seconds: float, *, lost: int, doubled: int, more: dict[str, Any]
) -> Figures:
    """All raters together."""
    tallies = [rater.tally for rater in raters]
    saved = sum(len(tally.saved) for tally in tallies)
    errors: Counter[str] = Counter()
    for tally in tallies:
        errors += tally.errors
    return Figures(
        raters=len(raters),
        seconds=round(seconds, 1),
        saved=saved,
        saved_per_second=round(saved / seconds, 2),
        sent_again=sum(tally.again for tally in tallies),
        empty=sum(tally.empty for tally in tallies),
        empty_at_first=sum(tally.empty_at_first for tally in tallies),
        unsaved=sum(len(tally.sent - tally.saved) for tally in tallies),
        lost=lost,
        doubled=doubled,
        vote_ms=spread([value for tally in tallies for value in tally.vote]),
        vote_and_next_ms=spread([value for tally in tallies for value in tally.both]),
        waited_share=round(sum(t.waited for t in tallies) / (seconds * max(1, len(tallies))), 3),
        errors=dict(errors),
        more=more,
    )
