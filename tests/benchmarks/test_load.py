"""The raters of the load benchmark, on a worker that is as quick as they are, in made-up time."""

import random
from typing import Any

from labeler.domain.rules import QueueRules
from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.store.records import Ballot
from tests.benchmarks.load import missed
from tests.benchmarks.load_ours import PageRater
from tests.support.store import RULES, claim, live, open_update, version
from tests.support.tiny import fill, made_up_pair
from trainer.worker.pace import Pace, demand, pairs_ahead

RATERS = 10
SECONDS_A_VOTE = 7.0
LABELS_PER_UPDATE = 16
UPDATE_SECONDS = 6.0
STEP_SECONDS = 0.5
FIRST_PAIRS = 4  # of a version: what the gate was shown
PROMPTS = 24


class DirectRater(PageRater):
    """One who asks the store itself."""

    def __init__(self, store: Store, number: int) -> None:
        super().__init__(0, "", number)
        self.now = 1e4
        self._store = store
        store.raters.invite(f"rater {number}", RaterRole.RATER, now=1.0)
        self._rater_id = store.raters.find(f"rater {number}").id

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._answer(path, body or {})
        self._live, self._ready = live(self._store).id, self._store.queue.ready_of_live()
        self._counting = [self._live - age for age in range(RULES.max_staleness + 1)]
        return answer

    def _answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/rating/votes":
            [ballot] = [Ballot(**vote) for vote in body["votes"]]
            receipt = self._store.votes.record(ballot, rater_id=self._rater_id, now=self.now)
            return {"receipts": [vars(receipt)]}
        if path == "/rating/state":
            return {}
        leased = self._store.queue.lease(
            **body,
            rater_id=self._rater_id,
            seconds=1800.0,
            now=self.now,
            rng=self._rng,
            max_staleness=RULES.max_staleness,
        )
        return {"pairs": [{"lease_id": p.lease_id, "version": p.version_id} for p in leased]}


class Sampler:
    """What the worker does for people: so many pairs a second, with updates in between."""

    def __init__(self, store: Store, pairs_a_second: float) -> None:
        self.free_at = 1e4
        self.versions = 0
        self._store, self._each = store, 1 / pairs_a_second
        self._pace = Pace()
        self._left = 0.0  # seconds of the update that runs

    def turn(self, votes: list[float]) -> None:
        """One piece of work; it is free again at `free_at`."""
        now, queue = self.free_at, self._store.queue
        recent = [at for at in votes if at > now - 180]
        wanted = demand(len(recent), now - recent[0] if recent else 0.0)
        full, ready = pairs_ahead(wanted, PROMPTS), queue.ready()
        if self._left > 0:
            self._left -= STEP_SECONDS
            self.free_at += STEP_SECONDS
            if ready < 5 * wanted:
                self._sample(self._pace.batch(ready, wanted), full)
            if self._left <= 0:
                self._go_live(full)
        elif open_update(self._store, now, labels_per_update=LABELS_PER_UPDATE):
            self._left = UPDATE_SECONDS
        else:
            lacking = self._pace.lacking(queue.ready_of_live(), full)
            self._sample(min(lacking, self._pace.batch(ready, wanted)), full)
            self.free_at += STEP_SECONDS * (lacking == 0)

    def _sample(self, count: int, full: int) -> None:
        self.free_at += count * self._each
        number = live(self._store).id
        pairs = [made_up_pair(1 + n % PROMPTS, number) for n in range(count)]
        self._store.queue.add(pairs, now=self.free_at, queue=QueueRules(full, RULES.max_staleness))

    def _go_live(self, full: int) -> None:
        self.versions += 1
        claimed = claim(self._store, now=self.free_at)
        pairs = [made_up_pair(1 + n, self.versions) for n in range(FIRST_PAIRS)]
        listed = [vote_id for label in claimed.labels for vote_id in label.vote_ids]
        self._store.updates.promote(
            claimed,
            version(self.versions),
            pairs,
            trained_on=listed,
            now=self.free_at,
            queue=QueueRules(full, RULES.max_staleness),
        )


def test_nobody_waits_while_the_worker_is_a_little_quicker_than_people_though_versions_change(
    store: Store,
) -> None:
    """Ten people, 1.4 votes a second; 2.1 pairs a second, and 6 s of work for each update."""
    fill(store, PROMPTS)
    sampler, rng, votes = Sampler(store, 2.1), random.Random(1), list[float]()
    raters = [DirectRater(store, number) for number in range(RATERS)]
    due = {rater: 1e4 + rng.uniform(0, SECONDS_A_VOTE) for rater in raters}
    while len(votes) < 200:
        rater = min(due, key=lambda each: due[each])
        while sampler.free_at < due[rater]:
            sampler.turn(votes)
        rater.now = due[rater]
        if rater.is_ready():
            if rater.tally.sent or due[rater] > 1e4 + SECONDS_A_VOTE:
                rater.look()
                rater.vote()
                votes.append(rater.now)
            due[rater] += rng.uniform(0.6, 1.4) * SECONDS_A_VOTE
        else:
            due[rater] += 0.5
    assert sampler.versions >= 4
    assert sum(rater.tally.empty for rater in raters) == 0
    assert sum((rater.tally.errors for rater in raters), start=type(raters[0].tally.errors)()) == {}


def test_a_run_says_which_goals_it_missed() -> None:
    run = {
        "empty": 3,
        "empty_at_first": 3,
        "lost": 0,
        "doubled": 0,
        "vote_ms": {"p95": 149.0},
        "more": {
            "keyboard_ms": {"p95": 30.0, "next_pair_absent": 1, "next_pair_absent_at_first": 1}
        },
    }
    assert missed(run) == []
    keys = {"p95": 50.5, "next_pair_absent": 3, "next_pair_absent_at_first": 1}
    run |= {"empty": 4, "doubled": 1, "more": {"keyboard_ms": keys}}
    assert missed(run) == [
        "presses on an empty queue 3 (0)",
        "key to pair 50.5 (50)",
        "doubled 1 (0)",
    ]
