"""The verbs that a service runs all the time: for each rater, or every second."""

import random
from collections.abc import Callable

from labeler.domain.rules import DueRules
from labeler.store import Store
from labeler.store.records import Ballot

# Mostly no update is due.
RULES = DueRules(labels_per_update=10_000, max_staleness=2, cooldown_seconds=0.0)
LEASE_SECONDS = 600.0


def lease_and_vote(store: Store, rater: int, holder: str, now: float, rng: random.Random) -> bool:
    """A page takes its next pair and votes on it; whether there was one."""
    leased = store.queue.lease(
        rater_id=rater,
        holder=holder,
        wanted=1,
        seconds=LEASE_SECONDS,
        now=now,
        rng=rng,
        max_staleness=RULES.max_staleness,
    )
    for pair in leased:
        ballot = Ballot(f"vote {pair.lease_id}", pair.lease_id, "left")
        assert store.votes.record(ballot, rater_id=rater, now=now).saved
    return bool(leased)


def frequent(store: Store, rater: int, now: float) -> dict[str, Callable[[], object]]:
    """The six by name: four of raters and their page, one of the scheduler, one of the worker."""
    rng = random.Random(0)

    def page() -> object:
        shown = store.reports.shown_to_all(RULES, now=now)
        return store.reports.page_of(rater, shown, RULES, looked_at=now)

    return {
        "lease and vote": lambda: lease_and_vote(store, rater, "page", now, rng),
        "undo": lambda: store.votes.undo(
            undo_id="undo", rater_id=rater, holder="page", seconds=LEASE_SECONDS, now=now
        ),
        "the page's counters": page,
        "leases that ran out": lambda: store.queue.end_expired_leases(now=now),
        "is an update due": lambda: store.updates.open_if_due(RULES, now=now),
        "is the queue full": store.queue.ready,
    }
