"""Newest first, old ones until new ones take their place, and what a page may put by."""

import random

import pytest
from sqlmodel import col

from labeler.domain.rules import CheckRules, QueueRules
from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.rating.leases import SPARE_SECONDS
from labeler.store.rating.next_pairs import LEFT_READY, ON_HAND
from labeler.store.rating.queue import MAX_HELD
from labeler.store.records import LeasedPair
from labeler.store.tables import Lease, Pair
from tests.support.store import (
    N,
    change,
    claim,
    give_back,
    lease,
    live,
    open_update,
    rows,
    second_rater,
    version,
    vote,
)
from tests.support.tiny import fill, made_up_pair

ROOM = QueueRules(pairs=12, max_staleness=2)


@pytest.fixture(autouse=True)
def _pairs(store: Store) -> None:
    fill(store, 12 + N)


def go_live(
    store: Store, number: int, *, pairs: int, queue: QueueRules = ROOM, now: float = 1010.0
) -> None:
    """Votes, and a version that comes of them with so many first pairs."""
    vote(store, N, now=now)
    open_update(store, now + 1)
    claimed = claim(store, now=now + 2)
    new = [made_up_pair(1 + n, number) for n in range(pairs)]
    listed = [vote_id for label in claimed.labels for vote_id in label.vote_ids]
    store.updates.promote(
        claimed, version(number), new, trained_on=listed, now=now + 3, queue=queue
    )


def add(store: Store, pairs: int, *, version: int, queue: QueueRules = ROOM) -> None:
    """So many pairs more of the live version."""
    store.queue.add([made_up_pair(1 + n, version) for n in range(pairs)], now=1020.0, queue=queue)


def held_by(database: Database) -> list[str]:
    """The leases that anybody holds."""
    return [row.id for row in rows(database, Lease, col(Lease.ended_at).is_(None))]


def versions(pairs: list[LeasedPair]) -> list[int]:
    return [pair.version_id for pair in pairs]


def test_old_pairs_go_only_as_new_ones_take_their_place(store: Store) -> None:
    go_live(store, 1, pairs=5)
    assert (store.queue.ready(), store.queue.ready_of_live()) == (12, 5)
    add(store, 4, version=1)
    assert (store.queue.ready(), store.queue.ready_of_live()) == (12, 9)
    add(store, 5, version=1)
    assert (store.queue.ready(), store.queue.ready_of_live()) == (14, 14)


def test_none_goes_for_a_pair_that_was_set_aside(store: Store, database: Database) -> None:
    """It waits for nobody, so it is in nobody's place."""
    go_live(store, 1, pairs=0)
    oldest = min(pair.id or 0 for pair in rows(database, Pair, col(Pair.state) == "ready"))
    store.labelled.set_aside(oldest, reason="odd", by=store.raters.local(now=1.0), now=1020.0)
    assert store.queue.ready() == 11
    add(store, 4, version=1)
    assert store.queue.ready() == 12
    store.labelled.put_back(oldest)
    assert store.queue.ready() == 13


def test_while_there_are_few_none_goes(store: Store) -> None:
    taken = vote(store, 10)
    go_live(store, 1, pairs=4)
    assert (store.queue.ready(), store.queue.ready_of_live()) == (16 - len(taken) - N + 4, 4)


def test_the_oldest_go_first_and_the_newest_are_handed_out_first(
    store: Store, database: Database
) -> None:
    go_live(store, 1, pairs=8)
    go_live(store, 2, pairs=3, now=1030.0)
    assert versions(lease(store, 12, now=1040.0)) == [2] * 3 + [1] * 4 + [0] * 4
    give_back(store, *held_by(database), now=1041.0)
    add(store, 4, version=2)
    assert versions(lease(store, 16, now=1042.0)) == [2] * 7 + [1] * 4 + [0] * 1


def test_too_old_pairs_go_at_once_and_are_handed_to_nobody(
    store: Store, database: Database
) -> None:
    for number in (1, 2):
        go_live(store, number, pairs=6, now=1010.0 * number)
    assert store.queue.ready() == 12
    assert set(versions(lease(store, 20, holder="look", max_staleness=1, now=2030.0))) == {1, 2}
    give_back(store, *held_by(database), holder="look", now=2031.0)
    store.queue.retire_too_old(max_staleness=1)
    assert set(versions(lease(store, 20, now=2032.0))) == {1, 2}


def test_an_old_pair_that_is_given_back_waits_for_others(store: Store) -> None:
    [held] = lease(store, holder="late")
    go_live(store, 1, pairs=2, queue=QueueRules(pairs=99, max_staleness=2))
    give_back(store, held.lease_id, holder="late", now=1020.0)
    assert len(lease(store, 99, now=1021.0)) == 12 + 2


def test_whoever_goes_back_does_away_with_the_pairs_of_the_version_that_was_live(
    store: Store,
) -> None:
    go_live(store, 1, pairs=5)
    store.versions.make_live_again(0, now=1020.0)
    assert store.queue.ready_of_live() == store.queue.ready() == 12 - 5
    assert set(versions(lease(store, 20, now=1021.0))) == {0}


def test_a_rejected_live_version_takes_its_pairs_with_it(store: Store) -> None:
    go_live(store, 1, pairs=5)
    store.versions.reject(1, now=1020.0)
    assert (live(store).id, store.queue.ready_of_live(), store.queue.ready()) == (0, 7, 7)


def test_a_raters_own_pair_is_handed_out_whatever_its_age_and_nothing_takes_its_place(
    store: Store, database: Database
) -> None:
    rater = store.raters.local(now=1.0)
    own = rows(database, Pair)[-1]
    change(database, Pair, own.id, for_rater_id=rater)
    go_live(store, 1, pairs=9, queue=QueueRules(pairs=0, max_staleness=2))
    [text] = [
        pair.messages[-1]["content"] for pair in lease(store, 99, now=1020.0) if not pair.version_id
    ]
    assert text == f"Question {own.prompt_id - 1}?"


def test_old_pairs_come_back_to_a_page_unless_there_are_newer_ones(store: Store) -> None:
    held = [pair.lease_id for pair in lease(store, 3, holder="page")]
    go_live(store, 1, pairs=1)
    again = lease(store, 3, holder="page", shown=held[:1], give_back=held[1:], now=1020.0)
    assert sorted(versions(again)) == [0, 1]
    kept = next(pair.lease_id for pair in again if pair.version_id == 0)
    assert kept in held[1:]
    assert (
        lease(store, 3, holder="page", shown=[held[0], kept], give_back=[kept], now=1021.0)
        == again[1:]
    )


def test_a_pair_on_which_a_vote_would_not_count_never_comes_back(store: Store) -> None:
    held = [pair.lease_id for pair in lease(store, 2, max_staleness=0)]
    go_live(store, 1, pairs=0, queue=QueueRules(pairs=0, max_staleness=0))
    assert lease(store, 2, shown=held[:1], give_back=held[1:], max_staleness=0, now=1020.0) == []


def test_many_pages_that_change_their_pairs_at_once_lose_none(store: Store) -> None:
    """Two new pairs for nine pages with two old ones each: before, seven of them had none left."""
    store.queue.add([made_up_pair(1, 0)] * 12, now=1000.0)
    tabs = [f"tab {n}" for n in range(9)]
    hands = {tab: [pair.lease_id for pair in lease(store, 2, holder=tab)] for tab in tabs}
    go_live(store, 1, pairs=2, queue=QueueRules(pairs=4, max_staleness=2))
    for tab, held in hands.items():
        assert len(lease(store, 2, holder=tab, give_back=held, now=1020.0)) == 2
    again = [pair for tab in tabs for pair in lease(store, 2, holder=tab, now=1021.0)]
    assert sorted(versions(again)) == [0] * 16 + [1] * 2


def test_a_page_puts_pairs_by_where_there_are_plenty(store: Store) -> None:
    assert len(lease(store, ON_HAND, spare=99)) == 12 + N - LEFT_READY
    assert store.queue.ready() == LEFT_READY


def test_others_are_left_a_hand_each(store: Store) -> None:
    other = second_rater(store)
    lease(store, ON_HAND, rater=other, holder="theirs")
    mine = lease(store, ON_HAND, spare=99)
    assert len(mine) == 12 + N - 2 * ON_HAND - LEFT_READY
    assert len(lease(store, 2 * ON_HAND, rater=other, holder="theirs", spare=99)) == 2 * ON_HAND


def test_while_there_are_few_each_page_has_one_behind_before_any_has_two(store: Store) -> None:
    """Of sixteen pairs four raters hold thirteen; a fifth gets two of the other three."""
    raters = [rater_named(store, f"rater {number}") for number in range(5)]
    for rater, count in zip(raters, (4, 4, 3, 2), strict=False):
        lease(store, count, rater=rater, holder=f"of {rater}")
    assert store.queue.ready() == 3
    assert len(lease(store, ON_HAND, rater=raters[4], holder="late")) == 2
    lease(store, ON_HAND, rater=raters[3], holder=f"of {raters[3]}")
    assert store.queue.ready() == 1, "who has one behind has no need of another"


def rater_named(store: Store, name: str) -> int:
    store.raters.invite(name, RaterRole.RATER, now=1.0)
    return store.raters.find(name).id


def test_with_few_pairs_a_page_gets_what_it_needs_and_no_more(store: Store) -> None:
    held = [pair.lease_id for pair in lease(store, 11)]
    assert len(lease(store, ON_HAND, holder="new", spare=20)) == ON_HAND
    assert lease(store, ON_HAND, shown=held, spare=20) == []


def test_nobody_puts_more_by_than_a_rater_may_hold(store: Store) -> None:
    store.queue.add([made_up_pair(1, 0)] * 99, now=1000.0)
    assert len(lease(store, ON_HAND, spare=99)) == MAX_HELD


def test_what_was_put_by_goes_back_soon_once_the_page_is_gone(
    store: Store, database: Database
) -> None:
    """The page names what it shows next first; that it keeps for as long as ever."""
    held = [pair.lease_id for pair in lease(store, 2, spare=4, seconds=1800.0)]
    lease(store, 2, shown=held[::-1], spare=4, seconds=1800.0, now=2000.0)
    ends = {row.id: row.expires_at for row in rows(database, Lease)}
    assert [ends[lease_id] for lease_id in held[::-1]] == [3800.0] * 2 + [2000 + SPARE_SECONDS] * 4
    assert store.queue.end_expired_leases(now=2000 + SPARE_SECONDS) == 4


def test_no_check_comes_in_the_place_of_an_old_pair(store: Store, database: Database) -> None:
    """It says that it is of the live version: among old pairs it would stand out."""
    checks = CheckRules(repeat_share=1.0)
    store.queue.add([made_up_pair(1, 0)] * 40, now=1000.0)
    vote(store, 40)
    go_live(store, 1, pairs=1, now=1100.0)
    before = len(rows(database, Pair))
    leased = lease(store, 4, checks=checks, now=1200.0)
    assert sorted(versions(leased)) == [0, 0, 0, 1]
    assert len(rows(database, Pair)) == before + 1


@pytest.mark.parametrize("seed", range(5))
def test_whatever_pages_do_each_waiting_pair_is_in_one_place_and_the_newest_goes_first(
    store: Store, seed: int
) -> None:
    rng = random.Random(seed)
    store.queue.add([made_up_pair(1 + n, 0) for n in range(12)], now=1000.0)
    hands: dict[str, list[LeasedPair]] = {name: [] for name in "abc"}
    for turn in range(12):
        holder, now = rng.choice("abc"), 1100.0 + 10 * turn
        hand, number = hands[holder], live(store).id
        outdated = [pair for pair in hand if pair.version_id != number]
        given = rng.sample(outdated, rng.randint(0, len(outdated)))
        kept = [pair for pair in hand if pair not in given]
        shown, back = ([pair.lease_id for pair in some] for some in (kept, given))
        got = lease(
            store, 3, holder=holder, shown=shown, give_back=back, spare=rng.randint(0, 5), now=now
        )
        hands[holder] = kept + got
        assert len(hands[holder]) >= min(3, len(hand))
        if store.queue.ready_of_live():
            assert all(pair.version_id == number for pair in got if pair not in hand)
        if turn % 4 == 3:
            add(store, 2, version=number, queue=QueueRules(pairs=8, max_staleness=2))
    held = [pair.lease_id for hand in hands.values() for pair in hand]
    assert len(held) == len(set(held)) == store.reports.status(max_staleness=2)["pairs"]["leased"]
