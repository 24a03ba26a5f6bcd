"""How many pairs people need, and in which batches: arithmetic on votes, seconds and pairs.

    what people took of late  ->  demand, pairs a second  ->  the queue: AHEAD_SECONDS of it
    what is ready, demand     ->  time that people have   ->  a batch that takes no longer

Where many wait, the demand is more than what they take: as much as is drawn. So what is done in
QUICK_SECONDS is drawn together, whatever they took; many rows are drawn faster than few.

A deeper queue would be sampled in vain: people are handed the newest version first. The more they
are, the sooner another one is live, so for many the queue is deep enough for MANY_AHEAD_SECONDS.
"""

import math

LOOK_BACK_SECONDS = 180.0
AHEAD_SECONDS = 120.0
MANY_AHEAD_SECONDS = 20.0
MIN_AHEAD_PAIRS = 4
REFILL_SECONDS = 10.0  # what people take meanwhile is there whenever an update goes on
REFILL_TIMES = 3.0  # as long as an update works; it must end, however fast people are
# What is believed before anybody has voted, and how many votes outweigh it.
USUAL_SECONDS = 10.0
USUAL_PAIRS = 2
# Few rows take as long as one: a smaller batch ends hardly sooner, and whatever its size, its first
# pair is handed over as soon as it is there.
MIN_BATCH_PAIRS = 8
MAX_BATCH_PAIRS = 16
QUICK_SECONDS = 2.0
MAX_QUICK_PAIRS = 64


def demand(pairs: int, seconds: float) -> float:
    """Pairs that people take a second, having taken so many in the last `seconds`.

    The posterior mean of a Poisson rate under a Gamma prior: nobody is known to be quick after one
    vote, and after a pause it is as at the start.
    """
    return (USUAL_PAIRS + pairs) / (USUAL_PAIRS * USUAL_SECONDS + seconds)


def runs_short(ready: int, demand: float, seconds: float) -> bool:
    """Whether the queue would be empty after work that takes as long as the last part did."""
    return ready < max(1.0, demand * max(seconds, REFILL_SECONDS))


def pairs_ahead(demand: float, most: int) -> int:
    """How many pairs the queue should hold: what people take in AHEAD_SECONDS, `most` at most.

    But always what they take in MANY_AHEAD_SECONDS.
    """
    for_few = min(most, max(MIN_AHEAD_PAIRS, math.ceil(demand * AHEAD_SECONDS)))
    return max(for_few, math.ceil(demand * MANY_AHEAD_SECONDS))


class Pace:
    """Whether the queue is being filled, and how long a pair took in the last batch."""

    def __init__(self) -> None:
        self._is_filling = True
        self._pair_seconds = math.inf  # nothing was measured yet

    def lacking(self, ready: int, full: int) -> int:
        """How many pairs the queue lacks, once half of it is gone and until it is full.

        So there are few batches, and large ones.
        """
        self._is_filling = ready < full if self._is_filling else 2 * ready <= full
        return full - ready if self._is_filling else 0

    def batch(self, ready: int, demand: float) -> int:
        """The size of the next batch: the largest that is done before people have nothing left, or
        at once.
        """
        has_seconds = ready / demand
        sizes = range(MAX_BATCH_PAIRS, MIN_BATCH_PAIRS, -1)
        fitting = (size for size in sizes if size * self._pair_seconds <= has_seconds)
        return max(self._drawn_in(QUICK_SECONDS), next(fitting, MIN_BATCH_PAIRS))

    def refill(self, ready: int, demand: float, full: int, seconds: float) -> int:
        """The size of a batch in the middle of an update: what the queue lacks at most, but no
        less than what takes as long.

        The update has worked for so many `seconds`. People have REFILL_TIMES as many: parts of an
        update that take longer than a batch would else leave them less than their share.
        """
        most = max(self.batch(ready, demand), self._drawn_in(REFILL_TIMES * seconds))
        return min(max(MIN_BATCH_PAIRS, full - ready), most)

    def owed(self, seconds: float) -> float:
        """How long an update then goes on, once people have had so many `seconds` of it."""
        return seconds / REFILL_TIMES

    def next_within(self, seconds: float) -> bool:
        """Whether another pair is complete so soon, by the last batch."""
        return self._pair_seconds <= seconds

    def took(self, pairs: int, seconds: float) -> None:
        """A batch is done. The clock may have been set back meanwhile."""
        self._pair_seconds = max(0.0, seconds) / pairs

    def _drawn_in(self, seconds: float) -> int:
        """How many pairs, by the last batch; a clock that stood still tells nothing."""
        if self._pair_seconds <= 0:
            return 0
        return min(MAX_QUICK_PAIRS, int(seconds / self._pair_seconds))
