"""Steps of the loop for the tests of the store: vote, open, claim, promote or reject."""

import random
from dataclasses import replace
from typing import Any

from labeler.domain.rules import DueRules
from labeler.store import Store
from labeler.store.records import Ballot, Claim, NewVersion
from tests.support.tiny import add_pairs

N = 4
RULES = DueRules(labels_per_update=N, max_staleness=2, cooldown_seconds=0.0)


def states(store: Store) -> list[str]:
    """The state of each version, oldest first."""
    return [row.state.value for row in store.versions.all()]


def vote(
    store: Store, count: int, choice: str = "left", *, now: float = 1002.0, strength: int = 1
) -> list[str]:
    """Votes of the local rater on the next pairs; returns their ids."""
    rater = store.raters.local(now=1.0)
    leased = store.queue.lease(
        rater_id=rater, holder="tab", wanted=count, seconds=60, now=now, rng=random.Random(0)
    )
    assert len(leased) == count
    for pair in leased:
        ballot = Ballot("vote " + pair.lease_id, pair.lease_id, choice, strength)
        assert store.votes.record(ballot, rater_id=rater, now=now).saved
    return ["vote " + pair.lease_id for pair in leased]


def open_update(store: Store, now: float = 1010.0, **changed: Any) -> int | None:
    return store.updates.open_if_due(replace(RULES, **changed), now=now)


def claim(store: Store, worker: str = "w", now: float = 1011.0, rules: DueRules = RULES) -> Claim:
    claimed = store.updates.claim(worker=worker, rules=rules.votes, now=now)
    assert claimed is not None
    return claimed


def version(number: int) -> NewVersion:
    return NewVersion(id=number, folder=f"v{number}", sha256="x", metrics={"labels": N})


def promote(store: Store, claimed: Claim, number: int, now: float = 1020.0) -> None:
    """Make a version live that was trained on all of the claim's labels."""
    labels = [vote_id for label in claimed.labels for vote_id in label.vote_ids]
    store.updates.promote(claimed, version(number), [], trained_on=labels, now=now)


def make_version(store: Store, number: int, pairs: int = 12, now: float = 1010.0) -> None:
    """One turn of the loop: N votes, an update, its version live with pairs of its own."""
    vote(store, N, now=now)
    open_update(store, now + 1)
    promote(store, claim(store, now=now + 2), number, now=now + 3)
    add_pairs(store, pairs, version=number)
