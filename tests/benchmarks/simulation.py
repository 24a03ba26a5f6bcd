"""The loop without a model: how long people wait, how old pairs are, and how many are in vain.

A discrete simulation. People, samplers and the trainer are generators that say how many seconds
they take; what they meet at is a queue of pairs, each of which is but the number of its version.
How deep the queue is, and how large batches are, is asked of `trainer.worker.pace`, as in the
worker. Left out: leases that run out, ties, skips, refused updates, and the time of the database.

`tests.benchmarks.scales` runs it beside the real loop, and at the scales of labeler/README.md.
"""

import heapq
import itertools
import math
import random
import statistics
from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from trainer.worker.pace import LOOK_BACK_SECONDS, Pace, demand, pairs_ahead, runs_short

LOOK_SECONDS = 0.5  # how often a process with nothing to do looks again
MAX_TIMES_DUE = 4  # an update takes so many times the labels that make it due, at most
STEP_LABELS = 8  # after which an update lets people have pairs
WAITED_SECONDS = 0.5

Process = Generator[float | None, None, None]  # seconds until its next move; None: it is called


@dataclass(frozen=True)
class Rates:
    """What the loop is made of. Seconds of a vote are the mean of an exponential distribution."""

    raters: int
    vote_seconds: float
    pair_seconds: float  # of one sampler
    update_seconds: float  # of an update with its gate, and then of each of its labels
    label_seconds: float
    labels: int = 16  # that make an update due
    samplers: int = 0  # beside the trainer; 0: one process samples and learns in turn
    queue_pairs: int = 24
    gate_pairs: int = 16
    max_staleness: int = 2
    held_out_share: float = 0.2  # of an update's votes, which train the next one


@dataclass(frozen=True)
class Found:
    """What came of it. Shares are parts of 1."""

    votes_per_second: float
    wait_seconds: float  # before a pair, mean over all votes
    wait_p95: float
    waited: float  # share of votes that waited WAITED_SECONDS or more
    staleness: float  # versions between a pair and the live one, mean over votes
    too_old: float  # share of votes that did not count
    wasted: float  # share of sampled pairs that went without a vote
    learned: float  # votes that versions were trained on, as a share of those cast meanwhile
    updates_per_hour: float

    @classmethod
    def of(
        cls,
        waits: Sequence[float],
        ages: Sequence[int],
        *,
        seconds: float,
        max_staleness: int,
        wasted: float,
        learned: int,
        updates: int,
    ) -> "Found":
        """From the seconds that each vote waited for its pair, and the versions that it was old."""
        ranked = sorted(waits)
        return cls(
            votes_per_second=len(ages) / seconds,
            wait_seconds=statistics.fmean(ranked),
            wait_p95=ranked[int(0.95 * len(ranked))],
            waited=sum(wait >= WAITED_SECONDS for wait in ranked) / len(ranked),
            staleness=statistics.fmean(ages),
            too_old=sum(age > max_staleness for age in ages) / len(ages),
            wasted=wasted,
            learned=learned / len(ages),
            updates_per_hour=3600 * updates / seconds,
        )


class Loop:
    """One run: the queue, and who meets at it."""

    def __init__(self, rates: Rates, seed: int = 0) -> None:
        self.rates = rates
        self._now, self._version = 0.0, 0
        self._draw = random.Random(seed)
        self._moves: list[tuple[float, int, Process]] = []
        self._order = itertools.count()
        self._waiting: deque[Process] = deque()
        self._ready: Counter[int] = Counter()  # pairs by version
        self._fresh: Counter[int] = Counter()  # votes by the version of their pair
        self._voted_at: deque[float] = deque()
        self._pace = Pace()
        self._forget()

    def run(self, seconds: float, *, warm_up: float = 0.0) -> Found:
        """Let time pass; what happens in the `warm_up` before is not counted."""
        self._add(self._full())
        for _ in range(self.rates.raters):
            self._later(self._draw.uniform(0, self.rates.vote_seconds), self._rater())
        for _ in range(self.rates.samplers):
            self._later(0.0, self._sampler())
        self._later(0.0, self._trainer())
        self._until(warm_up)
        self._forget()
        self._until(warm_up + seconds)
        return self._found(seconds)

    def _rater(self) -> Process:
        while True:
            asked = self._now
            while not self._ready:
                yield None
            version = max(self._ready)
            self._take(version)
            self._waits.append(self._now - asked)
            yield self._draw.expovariate(1 / self.rates.vote_seconds)
            self._vote(version)

    def _sampler(self) -> Process:
        """One that only samples."""
        while True:
            size = self._lacking()
            yield from self._batch(size) if size > 0 else self._rest()

    def _trainer(self) -> Process:
        """What learns; it samples as well if nobody else does."""
        alone = not self.rates.samplers
        while True:
            size = self._lacking() if alone else 0
            if self._fresh.total() >= self.rates.labels:
                yield from self._update(alone)
            else:
                yield from self._batch(size) if size > 0 else self._rest()

    def _update(self, alone: bool) -> Process:
        """The votes that are there make a version; pairs for whoever would wait meanwhile."""
        labels = self._claim()
        parts = 1 + math.ceil(labels / STEP_LABELS)
        part = (self.rates.update_seconds + labels * self.rates.label_seconds) / parts
        owed = 0.0
        for _ in range(parts):
            yield part
            owed = max(0.0, owed - part)
            ready, wanted = self._ready.total(), self._demand()
            if alone and not owed and runs_short(ready, wanted, part):
                began = self._now
                yield from self._batch(self._pace.refill(ready, wanted, self._full(), part))
                owed = self._pace.owed(self._now - began)
        self._version += 1
        self._updates += 1
        self._learned += labels
        self._add(self.rates.gate_pairs)

    def _claim(self) -> int:
        """Take the votes that an update trains on, the oldest first; how many they are."""
        listed = min(self._fresh.total(), MAX_TIMES_DUE * self.rates.labels)
        labels = left = listed - round(self.rates.held_out_share * listed)
        for version in sorted(self._fresh):
            taken = min(left, self._fresh[version])
            self._fresh[version] -= taken
            left -= taken
        return labels

    def _batch(self, size: int) -> Process:
        """Each pair is handed over when it is complete."""
        version, began = self._version, self._now
        for _ in range(size):
            yield self.rates.pair_seconds
            self._add(1, version)
        self._pace.took(size, self._now - began)

    def _rest(self) -> Process:
        yield LOOK_SECONDS

    def _add(self, pairs: int, version: int | None = None) -> None:
        """New pairs for whoever waits; older ones go in their place, or as too old."""
        self._sampled += pairs
        self._ready[self._version if version is None else version] += pairs
        surplus = self._ready.total() - max(self._full(), len(self._waiting))
        for old in sorted(self._ready):
            too_old = self._version - old > self.rates.max_staleness
            gone = self._ready[old] if too_old else min(self._ready[old], max(0, surplus))
            if old < self._version:
                self._take(old, gone)
                self._retired += gone
                surplus -= gone
        for _ in range(min(len(self._waiting), self._ready.total())):
            self._later(0.0, self._waiting.popleft())

    def _take(self, version: int, pairs: int = 1) -> None:
        self._ready[version] -= pairs
        if not self._ready[version]:
            del self._ready[version]

    def _vote(self, version: int) -> None:
        age = self._version - version
        self._ages.append(age)
        self._voted_at.append(self._now)
        if age <= self.rates.max_staleness:
            self._fresh[version] += 1

    def _lacking(self) -> int:
        """The size of the next batch."""
        wanted = self._demand()
        lacking = self._pace.lacking(self._ready[self._version], self._full())
        return min(lacking, self._pace.batch(self._ready.total(), wanted))

    def _full(self) -> int:
        return pairs_ahead(self._demand(), self.rates.queue_pairs)

    def _demand(self) -> float:
        """Pairs a second that people have taken of late."""
        while self._voted_at and self._voted_at[0] <= self._now - LOOK_BACK_SECONDS:
            self._voted_at.popleft()
        first = self._voted_at[0] if self._voted_at else self._now
        return demand(len(self._voted_at), self._now - first)

    def _later(self, seconds: float, process: Process) -> None:
        heapq.heappush(self._moves, (self._now + seconds, next(self._order), process))

    def _until(self, end: float) -> None:
        while self._moves and self._moves[0][0] <= end:
            self._now, _, process = heapq.heappop(self._moves)
            seconds = next(process)
            if seconds is None:
                self._waiting.append(process)
            else:
                self._later(seconds, process)
        self._now = end

    def _forget(self) -> None:
        """Count from here."""
        self._waits: list[float] = []
        self._ages: list[int] = []
        self._sampled = self._retired = self._updates = self._learned = 0

    def _found(self, seconds: float) -> Found:
        return Found.of(
            self._waits,
            self._ages,
            seconds=seconds,
            max_staleness=self.rates.max_staleness,
            wasted=self._retired / max(1, self._sampled),
            learned=self._learned,
            updates=self._updates,
        )
