"""Keeps the queue full of pairs from the live version.

Where people wait, the first batch is a single pair, and each after it twice as large as the one
before: large batches give more tokens a second, and small ones the first pair sooner.
"""

from trainer.worker.workplace import Workplace

BATCH_PAIRS = 16
UNATTENDED_PAIRS = 128


class SampleJob:
    """Samples where pairs are missing, a batch a turn."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._in_rounds = place.settings.mode == "iterative"
        # Pairs beyond those of the round, or of the next update, would be in vain.
        self._is_bounded = self._in_rounds or place.settings.unattended
        self._next_batch = 1

    def step(self, now: float) -> bool:
        """Sample a batch; false if there are enough pairs, or no prompt gives any."""
        wanted = self._wanted()
        if wanted <= 0:
            self._place.say("Enough pairs are ready.")
            self._next_batch = 1
            return False
        most = UNATTENDED_PAIRS if self._place.settings.unattended else self._for_people()
        return self.top_up(min(wanted, most) if self._is_bounded else most)

    def refill(self) -> None:
        """In the middle of an update: a batch for people who have nothing left to label."""
        if not self._is_bounded and self._place.store.queue.ready() == 0:
            self.top_up(self._for_people())

    def top_up(self, count: int) -> bool:
        """Sample so many pairs of the live version into the queue; false if none came of it."""
        place, version = self._place, self._place.live.version
        place.say("Sampling pairs.")
        with place.stopwatch.timing("sampling"):
            samples = place.supply.sample(count, version)
            pairs = place.supply.pairs(samples, version)
        wanted = place.settings.votes_per_pair
        place.store.queue.add(pairs, now=place.clock(), votes_wanted=wanted)
        return bool(pairs)

    def _for_people(self) -> int:
        """The size of a batch: people can rate so many pairs meanwhile, or they wait for it."""
        size = min(max(self._next_batch, self._place.store.queue.ready()), BATCH_PAIRS)
        self._next_batch = 2 * size
        return size

    def _wanted(self) -> int:
        """How many pairs to sample: what the queue lacks, or what this round or update does.

        Where a judge labels everything at once nobody needs a queue, and pairs beyond the next
        update's would be of an old version before they are used.
        """
        store, settings = self._place.store, self._place.settings
        ready, rules = store.queue.ready(), settings.due_rules
        if self._in_rounds:
            return min(settings.queue_pairs - ready, store.updates.round_left(rules))
        if settings.unattended:
            missing = store.updates.labels_missing(rules)
            return min(missing, store.judging.labels_left(settings.judge_rules)) - ready
        return settings.queue_pairs - ready
