"""What a rater does, whichever way it comes in: lease pairs, vote, undo, ask how things stand.

Time and chance are read here and handed on as arguments.
"""

import random
import time
from collections.abc import Iterable
from typing import Any

from labeler.config.settings import Settings
from labeler.domain.rules import CheckRules
from labeler.store import Store
from labeler.store.records import Ballot, LeasedPair, Receipt, Undone
from labeler.web.rating.bodies import PairsBody, UndoBody, VoteBody
from labeler.web.rating.loop import LoopView
from labeler.web.rating.told import told


class Desk:
    """The rating path behind the page's routes and the endpoints for programs."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._loop = LoopView(settings, store)
        self._checks = CheckRules(settings.gold_share, settings.repeat_share)
        self._rng = random.SystemRandom()

    def lease(self, body: PairsBody, rater_id: int) -> list[LeasedPair]:
        """The pairs that a rater's page or program may vote on from now on."""
        return self._store.queue.lease(
            **body.model_dump(),
            rater_id=rater_id,
            seconds=self._settings.lease_seconds,
            now=time.time(),
            rng=self._rng,
            max_staleness=self._settings.served_staleness,
            checks=self._checks,
        )

    def vote(self, vote: VoteBody, rater_id: int) -> Receipt:
        """Record a vote; the receipt is written after its commit."""
        ballot = Ballot(**vote.model_dump())
        return self._store.votes.record(ballot, rater_id=rater_id, now=time.time())

    def undo(self, body: UndoBody, rater_id: int) -> Undone:
        """Take a vote back."""
        undone = self._store.votes.undo(
            undo_id=body.undo_id,
            rater_id=rater_id,
            holder=body.holder,
            seconds=self._settings.lease_seconds,
            now=time.time(),
            vote_id=body.vote_id,
            rules=self._settings.vote_rules,
        )
        self._loop.forget()
        return undone

    def state(self, rater_id: int, pairs: Iterable[LeasedPair] = ()) -> dict[str, Any]:
        """How things stand, for the rater; not before the versions of these pairs were live."""
        return self.told(self.look(rater_id, pairs))

    def look(self, rater_id: int, pairs: Iterable[LeasedPair] = ()) -> dict[str, Any]:
        """The figures behind `state`."""
        return self._loop.page(rater_id, versions=[pair.version_id for pair in pairs])

    def told(self, shown: dict[str, Any]) -> dict[str, Any]:
        """The same as the page gets it."""
        return told(shown, self._settings.labels_per_update)
