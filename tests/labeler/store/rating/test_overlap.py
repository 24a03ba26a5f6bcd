"""Pairs with several votes: when they are trained on, and that nothing hangs."""

from dataclasses import replace

import pytest

from labeler.domain.labels import VoteRules
from labeler.domain.states import Choice
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.rating.overlap import ACTIVE_SECONDS
from labeler.store.records import Claim
from labeler.store.views.health import facts
from tests.support.store import (
    RULES,
    claim,
    last_update,
    lease,
    open_update,
    promote,
    second_rater,
    shown_to,
    version,
    vote_on,
)
from tests.support.tiny import fill, made_up_pair

WAIT = 1800.0


@pytest.fixture
def raters(store: Store) -> tuple[int, int]:
    """Two raters, and six pairs that want two votes each."""
    fill(store, 6, prompts=12, votes_wanted=2)
    return store.raters.local(now=1.0), second_rater(store)


def vote(store: Store, rater: int, count: int, choice: str = "left", now: float = 1002.0) -> int:
    """Votes on the next pairs that this rater gets; returns how many there were."""
    pairs = lease(store, count, rater=rater, now=now)
    for pair in pairs:
        vote_on(store, pair, choice, rater=rater, now=now)
    return len(pairs)


def fresh(store: Store) -> int:
    return int(store.reports.status(max_staleness=2)["labels"]["fresh"])


def test_the_first_vote_is_no_label_while_the_second_is_to_come(
    store: Store, raters: tuple[int, int]
) -> None:
    first, second = raters
    vote(store, first, 6)
    assert fresh(store) == 0
    assert open_update(store) is None
    vote(store, second, 2)
    assert fresh(store) == 4
    assert open_update(store) is not None
    labels = claim(store).labels
    assert [len(label.vote_ids) for label in labels] == [2, 2]
    assert {label.weight for label in labels} == {2.0}


def test_nobody_gets_a_pair_twice_and_the_second_rater_gets_the_waiting_ones_first(
    store: Store, raters: tuple[int, int]
) -> None:
    first, second = raters
    assert vote(store, first, 4) == 4
    assert vote(store, first, 6, now=1003.0) == 2
    assert vote(store, second, 9) == 6
    assert store.reports.status(max_staleness=2)["pairs"]["labelled"] == 6


def test_pairs_that_wait_for_others_do_not_fill_the_queue(
    store: Store, database: Database, raters: tuple[int, int]
) -> None:
    """Or a rater who works alone would wait for new ones for ever."""
    vote(store, raters[0], 6)
    assert store.queue.ready() == 0
    assert store.reports.status(max_staleness=2)["pairs"]["ready"] == 6
    assert store.dashboard.now(RULES, now=1003.0).ready == 0, "nothing is there for who voted"
    with database.read() as session:
        assert facts(session).ready == 0, "so the queue has run dry"


def test_a_rater_who_works_alone_holds_up_nothing(store: Store, raters: tuple[int, int]) -> None:
    vote(store, raters[0], 4)
    assert store.overlap.settle(wait_seconds=WAIT, now=1005.0) == 4
    assert fresh(store) == 4
    assert store.reports.status(max_staleness=2)["pairs"]["labelled"] == 4
    assert store.overlap.settle(wait_seconds=WAIT, now=1005.0) == 0


def test_pairs_wait_while_another_rater_is_there(store: Store, raters: tuple[int, int]) -> None:
    first, second = raters
    vote(store, second, 1)
    vote(store, first, 6, now=1003.0)
    assert store.overlap.settle(wait_seconds=WAIT, now=1004.0) == 0
    later = 1003.0 + ACTIVE_SECONDS
    assert store.overlap.settle(wait_seconds=WAIT, now=later - 2) == 0
    assert store.overlap.settle(wait_seconds=WAIT, now=later) == 5  # the second one went away


def test_a_rater_who_is_much_faster_than_the_others_waits_for_them_a_while(
    store: Store, raters: tuple[int, int]
) -> None:
    first, second = raters
    vote(store, first, 6, now=1000.0)
    vote(store, second, 1, now=1000.0 + WAIT - 1)
    assert store.overlap.settle(wait_seconds=WAIT, now=1000.0 + WAIT - 1) == 0
    assert store.overlap.settle(wait_seconds=WAIT, now=1000.0 + WAIT) == 5


def test_a_lone_skip_ends_as_a_pair_that_nobody_answered(
    store: Store, raters: tuple[int, int]
) -> None:
    vote(store, raters[0], 1, "skip")
    assert store.overlap.settle(wait_seconds=WAIT, now=1005.0) == 1
    assert store.reports.status(max_staleness=2)["pairs"]["expired"] == 1


def test_a_pair_that_somebody_holds_waits_for_them(store: Store, raters: tuple[int, int]) -> None:
    first, second = raters
    vote(store, first, 1)
    lease(store, rater=second, seconds=1e6, now=1003.0)
    assert store.overlap.settle(wait_seconds=WAIT, now=1e5) == 0
    store.queue.end_expired_leases(now=1e7)
    assert store.overlap.settle(wait_seconds=WAIT, now=1e7) == 1


def test_a_new_version_settles_what_waited(store: Store, raters: tuple[int, int]) -> None:
    first, second = raters
    vote(store, first, 6)
    vote(store, second, 2)
    open_update(store)
    promote(store, claim(store), 1)
    assert fresh(store) == 4  # the four that had one vote each


def test_a_round_ends_with_the_votes_it_got(store: Store, raters: tuple[int, int]) -> None:
    rounds = replace(RULES, mode="iterative", labels_per_update=6)
    vote(store, raters[0], 6)
    assert store.updates.open_if_due(rounds, now=1004.0) is None
    store.overlap.settle(wait_seconds=WAIT, now=1005.0)
    assert store.updates.open_if_due(rounds, now=1006.0) is not None


def take(store: Store, reliability: dict[int, float], now: float = 1011.0) -> Claim | None:
    return store.updates.claim(worker="w", rules=VoteRules(), now=now, reliability=reliability)


def test_votes_weigh_by_their_raters_reliability(store: Store, raters: tuple[int, int]) -> None:
    """One says left, one right, with weights 1.5 and 0.5: weight 2."""
    first, second = raters
    vote(store, first, 2, "left")
    vote(store, second, 2, "right", now=1003.0)
    open_update(store)
    claimed = take(store, {first: 1.5, second: 0.5})
    assert claimed is not None
    for label in claimed.labels:
        votes = [row.vote for row in store.reports.votes() if row.vote.id in label.vote_ids]
        is_a = {vote.rater_id: vote.choice is Choice.A for vote in votes}
        assert label.weight == 2.0
        assert label.target == (1.5 * is_a[first] + 0.5 * is_a[second]) / 2


def test_votes_that_weigh_nothing_are_used_up_with_the_others(
    store: Store, raters: tuple[int, int]
) -> None:
    """Or they would make the next update due again, for ever."""
    first, second = raters
    vote(store, first, 2)
    store.overlap.settle(wait_seconds=WAIT, now=1005.0)
    vote(store, second, 4, now=1400.0)
    store.overlap.settle(wait_seconds=WAIT, now=1e6)
    assert fresh(store) == 6
    open_update(store, now=1e6)
    claimed = take(store, {second: 0.0}, now=1e6)
    assert claimed is not None
    assert len(claimed.labels) == 2
    assert len(claimed.weightless) == 4
    promote(store, claimed, 1, now=1e6)
    assert fresh(store) == 0


def test_an_update_whose_votes_all_weigh_nothing_is_rejected_and_not_tried_again(
    store: Store, raters: tuple[int, int]
) -> None:
    vote(store, raters[0], 6)
    store.overlap.settle(wait_seconds=WAIT, now=1005.0)
    open_update(store)
    assert take(store, {raters[0]: 0.0}) is None
    assert "weigh nothing" in str(last_update(store).reason)
    assert open_update(store, now=1020.0) is None


def test_the_first_pairs_of_a_version_want_as_many_votes(
    store: Store, raters: tuple[int, int]
) -> None:
    first, second = raters
    vote(store, first, 2)
    vote(store, second, 2)
    open_update(store)
    claimed = claim(store)
    new = [made_up_pair(prompt.id or 0, 1) for prompt in store.prompts.take(2)]
    store.updates.promote(claimed, version(1), new, trained_on=[], now=1020.0, votes_wanted=2)
    assert vote(store, first, 9, now=1021.0) == len(new)
    assert vote(store, second, 9, now=1021.0) == len(new)


def test_a_pair_that_was_set_aside_is_handed_to_nobody_until_it_is_put_back(
    store: Store, raters: tuple[int, int]
) -> None:
    first, second = raters
    vote(store, first, 1)
    [voted] = store.reports.votes()
    aside = voted.vote.pair_id
    assert shown_to(store, second)["ready"] == 11, "each pair twice"
    store.labelled.set_aside(aside, reason="A name.", by=first, now=1003.0)
    assert shown_to(store, second)["ready"] == 10
    assert store.reports.status(max_staleness=2)["pairs"]["ready"] == 5
    assert vote(store, second, 9) == 5
    store.labelled.put_back(aside)
    assert vote(store, second, 9) == 1
