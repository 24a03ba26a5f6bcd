"""Keeps pairs of the live version ready: as many as people need in the next minutes.

Pairs of earlier versions do not count as ready here, but people are handed them before they wait.

    SampleJob.step  =  look how many pairs are missing; sample a batch of them, and hand over what
                       is complete: at once where people wait, else every few seconds

The arithmetic is in `trainer.worker.pace`. What is handed over together is checked, and gets its
log-probabilities under the reference, at the same time.
"""

from collections.abc import Callable

from labeler.domain.rules import ONLY_LIVE, QueueRules
from trainer.worker.pace import LOOK_BACK_SECONDS, Pace, demand, pairs_ahead, runs_short
from trainer.worker.workplace import Workplace

UNATTENDED_PAIRS = 128
HAND_OVER_SECONDS = 5.0
SOON_SECONDS = 0.2  # pairs that are complete together cost hardly more than one
SAYS = "Sampling pairs."


class SampleJob:
    """Samples where pairs are missing, a batch a turn."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._in_rounds = place.settings.mode == "iterative"
        self._pace = Pace()
        self._enough_at: int | None = None  # so many were ready when nothing was lacking
        self._owed = 0.0  # seconds of work, to the update that runs

    def step(self, now: float) -> bool:
        """Sample a batch; false if there are enough pairs, or no prompt gives any."""
        unattended, version = self._place.settings.unattended, self._place.live.version
        ready = self._place.store.queue.ready_of_live(version.number)
        count = self._for_the_judge(ready) if unattended else self._for_people(ready, now)
        if count <= 0:
            self._place.say(self._place.live.lags or "Enough pairs are ready.")
            return False
        return self.top_up(count)

    def refill(self, seconds: float) -> None:
        """In the middle of an update: a batch, if people would run out in so many `seconds`.

        The update has worked for as long since the last time. It gets a quarter of the time at
        least.
        """
        if self._in_rounds or self._place.settings.unattended:
            return
        self._owed = max(0.0, self._owed - seconds)
        began = self._place.clock()
        demanded, ready = _demand(self._place, began), self._place.store.queue.ready()
        if not self._owed and runs_short(ready, demanded, seconds):
            full = _full(self._place, demanded)
            self.top_up(self._pace.refill(ready, demanded, full, seconds))
            self._owed = self._pace.owed(self._place.clock() - began)

    def is_short(self) -> bool:
        """Whether people would run out of pairs if other work came first."""
        ready = self._place.store.queue.ready()
        if self._in_rounds:  # which ends with none
            return not ready
        return runs_short(ready, _demand(self._place, self._place.clock()), 0.0)

    def top_up(self, count: int) -> bool:
        """Sample so many pairs of the live version into the queue; false if none came of it."""
        place, version, added = self._place, self._place.live.version, 0
        place.say(f"Sampling pairs of version {version.number}." if place.live.lags else SAYS)
        began = place.clock()
        with place.stopwatch.timing("sampling"):
            for samples in place.supply.flow(count, version, is_due=self._hand_over(began)):
                pairs = place.supply.pairs(samples, version)
                now, queue = place.clock(), self.rules()
                place.store.queue.add(
                    pairs,
                    now=now,
                    votes_wanted=place.settings.votes_per_pair,
                    queue=queue,
                    max_staleness=place.may_lag,
                )
                added += len(pairs)
        self._pace.took(count, place.clock() - began)
        return added > 0

    def rules(self) -> QueueRules:
        """Which pairs of earlier versions stay in the queue now."""
        return queue_rules(self._place)

    def _hand_over(self, began: float) -> Callable[[], bool]:
        """Whether what is complete is to be handed over now; nobody waits where nobody is."""
        handed_at = began

        def is_due() -> bool:
            nonlocal handed_at
            if self._place.settings.unattended:
                return False
            now = self._place.clock()
            passed = now - handed_at
            if passed < SOON_SECONDS and self._pace.next_within(SOON_SECONDS):
                return False
            due = passed >= HAND_OVER_SECONDS or self._place.store.queue.ready() == 0
            handed_at = now if due else handed_at
            return due

        return is_due

    def _for_people(self, ready: int, now: float) -> int:
        """The size of a batch for people: what they lack, or as much of it as they can wait for."""
        settings = self._place.settings
        if self._in_rounds:  # pairs beyond those of the round would be in vain
            left = self._place.store.updates.round_left(settings.due_rules)
            batch = self._pace.batch(ready, _demand(self._place, now))
            return min(settings.queue_pairs - ready, left, batch)
        if ready == self._enough_at:
            return 0
        demanded = _demand(self._place, now)
        lacking = self._pace.lacking(ready, _full(self._place, demanded))
        self._enough_at = None if lacking else ready
        has = self._place.store.queue.ready()
        return min(lacking, self._pace.batch(has, demanded))

    def _for_the_judge(self, ready: int) -> int:
        """The size of a batch where a judge labels everything at once.

        Nobody needs a queue. Pairs beyond the next update's would be of an old version before they
        are used.
        """
        store, settings = self._place.store, self._place.settings
        missing = store.updates.labels_missing(settings.due_rules)
        left = store.judging.labels_left(settings.judge_rules)
        return min(missing - ready, left - ready, UNATTENDED_PAIRS)


def queue_rules(place: Workplace) -> QueueRules:
    """Which pairs of earlier versions stay in the queue now."""
    settings = place.settings
    if not settings.served_staleness:
        return ONLY_LIVE
    return QueueRules(_full(place, _demand(place, place.clock())), settings.served_staleness)


def _full(place: Workplace, demanded: float) -> int:
    """How many pairs the queue should hold; a judge may label from it, too."""
    settings = place.settings
    ahead = pairs_ahead(demanded, settings.queue_pairs)
    return ahead if settings.judge_after is None else max(settings.queue_pairs, ahead)


def _demand(place: Workplace, now: float) -> float:
    """Pairs a second that people have taken of late."""
    pairs, first = place.store.queue.taken(since=now - LOOK_BACK_SECONDS)
    return demand(pairs, 0.0 if first is None else max(0.0, now - first))
