"""Leases and votes: DESIGN's invariants 1, 2, 5 and 6, one test each."""

from dataclasses import replace

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.states import Choice
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.rating.queue import MAX_HELD
from labeler.store.records import Ballot
from labeler.store.tables import Pair
from tests.support.store import (
    N,
    change,
    give_back,
    lease,
    make_version,
    only_writer,
    second_rater,
    undo,
    vote,
    vote_on,
)
from tests.support.tiny import add_pairs, fill, made_up_pair

SECONDS = 60.0


def test_a_vote_is_stored_in_the_pairs_own_order_whatever_side_was_shown(store: Store) -> None:
    fill(store, 12)
    for number, pair in enumerate(lease(store, 12)):
        side = "left" if pair.left.startswith("good") else "right"
        store.votes.record(Ballot(f"v{number}", pair.lease_id, side), rater_id=1, now=1002.0)
    votes = [row.vote for row in store.reports.votes()]
    assert {vote.choice for vote in votes} == {Choice.A}  # a is the good one
    assert {vote.shown_left for vote in votes} == {"a", "b"}


def test_the_same_vote_sent_twice_counts_once(store: Store) -> None:
    fill(store, 1)
    ballot = Ballot("v", lease(store)[0].lease_id, "left")
    receipts = [store.votes.record(ballot, rater_id=1, now=1002.0) for _ in range(2)]
    assert [receipt.saved for receipt in receipts] == [True, True]
    assert len(store.reports.votes()) == 1


def test_a_vote_sent_again_with_another_choice_is_answered_with_the_stored_one(
    store: Store,
) -> None:
    fill(store, 1)
    first = Ballot("v", lease(store)[0].lease_id, "left", strength=2)
    store.votes.record(first, rater_id=1, now=1002.0)
    for other in (replace(first, choice="right"), replace(first, strength=1)):
        receipt = store.votes.record(other, rater_id=1, now=1003.0)
        assert (receipt.saved, receipt.choice, receipt.strength) == (False, "left", 2)
        assert receipt.reason == "it was stored before, with another choice"
    assert len(store.reports.votes()) == 1


def test_a_stored_vote_is_told_to_nobody_else(store: Store) -> None:
    fill(store, 1)
    ballot = Ballot("v", lease(store)[0].lease_id, "left")
    store.votes.record(ballot, rater_id=1, now=1002.0)
    other = replace(ballot, choice="right")
    receipt = store.votes.record(other, rater_id=second_rater(store), now=1003.0)
    assert (receipt.saved, receipt.choice) == (False, None)


def test_what_people_took_of_late_counts_each_pair_once(store: Store) -> None:
    fill(store, 3, votes_wanted=2)
    for rater in (1, second_rater(store)):
        for number, pair in enumerate(lease(store, 2, rater=rater, holder=f"of {rater}")):
            at = 1000.0 + 10 * rater + number
            store.votes.record(Ballot(pair.lease_id, pair.lease_id, "left"), rater_id=rater, now=at)
    assert store.queue.taken(since=0.0) == (2, 1010.0)
    assert store.queue.taken(since=1020.0) == (1, 1021.0)
    assert store.queue.taken(since=2000.0) == (0, None)


def add_worth(store: Store, worths: list[float | None]) -> dict[str, float | None]:
    """A pair of each worth; returns the worth by prompt."""
    texts = [f"worth {number}" for number in range(len(worths))]
    store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    store.prompts.add([[{"role": "user", "content": text}] for text in texts], now=1.0)
    prompts = store.prompts.take(len(worths))
    pairs = [made_up_pair(prompt.id or 0, 0) for prompt in prompts]
    store.queue.add(
        [replace(pair, worth=worth) for pair, worth in zip(pairs, worths, strict=True)], now=1.0
    )
    asked = [prompt.messages[0]["content"] for prompt in prompts]
    return dict(zip(asked, worths, strict=True))


def test_what_tells_most_comes_first_and_one_in_four_by_lot(store: Store) -> None:
    """By lot 15 of 60, give or take 3.4; the lot is fixed."""
    worths: list[float | None] = [None if n % 2 else float(n * 7 % 400) for n in range(400)]
    of = add_worth(store, worths)
    got = [of[pair.messages[0]["content"]] for pair in lease(store, 60)]
    chosen = [worth for worth in got if worth is not None]
    assert 8 <= len(got) - len(chosen) <= 24
    assert chosen == sorted(filter(None, worths), reverse=True)[: len(chosen)]


def test_a_pair_that_waits_for_a_second_vote_comes_before_those_that_tell_more(
    store: Store, database: Database
) -> None:
    add_worth(store, [0.5, 0.5, 0.5])
    for number in (1, 2, 3):
        change(database, Pair, number, votes_wanted=2)
    [pair] = lease(store)
    vote_on(store, pair)
    [voted] = [row.vote.pair_id for row in store.reports.votes()]
    for number in {1, 2, 3} - {voted}:
        change(database, Pair, number, worth=9.0)
    [second] = lease(store, rater=second_rater(store), holder="other tab")
    assert second.messages == pair.messages


def test_pairs_of_either_kind_do_where_there_are_none_of_the_other(store: Store) -> None:
    of = add_worth(store, [None, 0.5, 2.0, None, 1.0, None])
    got = [pair.messages[0]["content"] for pair in lease(store, 9)]
    assert sorted(got) == sorted(of)


def test_a_second_vote_on_the_same_pair_is_refused_with_the_reason(store: Store) -> None:
    fill(store, 1)
    held = lease(store)[0].lease_id
    store.votes.record(Ballot("v", held, "left"), rater_id=1, now=1002.0)
    receipt = store.votes.record(Ballot("w", held, "right"), rater_id=1, now=1003.0)
    assert not receipt.saved
    assert "undo" in str(receipt.reason)


def test_a_vote_without_a_lease_of_that_rater_is_refused(store: Store) -> None:
    fill(store, 1)
    held = lease(store)[0].lease_id
    other = second_rater(store)
    assert not store.votes.record(Ballot("v", held, "left"), rater_id=other, now=1002.0).saved
    assert not store.votes.record(Ballot("w", "made up", "left"), rater_id=1, now=1002.0).saved
    assert store.reports.votes() == []


def test_an_unknown_choice_is_refused_and_the_lease_stays(store: Store) -> None:
    fill(store, 1)
    held = lease(store)[0].lease_id
    with pytest.raises(BadInput, match="middle"):
        store.votes.record(Ballot("v", held, "middle"), rater_id=1, now=1002.0)
    assert store.votes.record(Ballot("w", held, "tie"), rater_id=1, now=1003.0).saved


def test_a_page_gets_its_lost_leases_back_after_a_reload_and_another_tab_gets_others(
    store: Store,
) -> None:
    fill(store, 4)
    before = lease(store, 2)
    after = lease(store, 2)
    other_tab = lease(store, 2, holder="other tab")
    assert after == before
    assert {pair.lease_id for pair in other_tab}.isdisjoint(pair.lease_id for pair in before)
    assert {pair.left for pair in other_tab}.isdisjoint(pair.left for pair in before)


def test_an_expired_lease_goes_back_and_its_late_vote_counts_while_the_slot_is_free(
    store: Store,
) -> None:
    fill(store, 1)
    held = lease(store, now=1001.0)[0].lease_id
    assert store.queue.end_expired_leases(now=1001.0 + SECONDS) == 1
    assert store.queue.ready() == 1
    assert store.votes.record(Ballot("v", held, "left"), rater_id=1, now=1100.0).saved
    assert store.queue.ready() == 0


def test_a_late_vote_is_refused_once_somebody_else_holds_the_pair(store: Store) -> None:
    fill(store, 1)
    other = second_rater(store)
    held = lease(store, now=1001.0)[0].lease_id
    store.queue.end_expired_leases(now=1001.0 + SECONDS)
    again = lease(store, rater=other, holder="b", now=1070.0)[0]
    receipt = store.votes.record(Ballot("v", held, "left"), rater_id=1, now=1100.0)
    assert not receipt.saved
    assert "someone else" in str(receipt.reason)
    ballot = Ballot("w", again.lease_id, "left")
    assert store.votes.record(ballot, rater_id=other, now=1101.0).saved


def test_a_page_that_waits_takes_no_turn_of_those_who_write(
    store: Store, database: Database
) -> None:
    """Who draws the pairs that fifty pages wait for would wait behind their asking.

    One pair is on the rater's other page, one has their vote and wants another, one was set aside,
    and one is what somebody else has asked for.
    """
    fill(store, 4, votes_wanted=2)
    other, me = second_rater(store), store.raters.local(now=1.0)
    change(database, Pair, 1, votes_wanted=1)
    for number in (2, 3, 4):
        store.labelled.set_aside(number, reason="odd", by=me, now=1000.0)
    [pair] = lease(store, rater=me, holder="other page")
    store.labelled.put_back(2)
    vote(store, 1, rater=me)
    store.labelled.put_back(4)
    change(database, Pair, 4, for_rater_id=other)
    with only_writer(database):
        assert lease(store, rater=me) == []
    assert lease(store, rater=me, holder="other page") == [pair], "its page comes back for it"
    assert len(lease(store, 3, rater=other)) == 2


def test_a_pair_that_wants_two_votes_takes_two_different_raters_and_no_third_lease(
    store: Store,
) -> None:
    fill(store, 1, votes_wanted=2)
    other = second_rater(store)
    first = lease(store, 2)
    assert len(first) == 1, "a rater holds one slot of a pair at most"
    second = lease(store, rater=other, holder="b")
    assert len(second) == 1
    store.votes.record(Ballot("v", first[0].lease_id, "left"), rater_id=1, now=1002.0)
    assert lease(store, holder="c") == [], "a rater who has voted does not get it again"
    store.votes.record(Ballot("w", second[0].lease_id, "left"), rater_id=other, now=1002.0)
    assert store.reports.status(max_staleness=2)["pairs"]["labelled"] == 1


def test_undo_brings_the_pair_back_on_the_same_sides_and_keeps_the_old_vote(store: Store) -> None:
    fill(store, 3)
    pair = lease(store)[0]
    store.votes.record(Ballot("v", pair.lease_id, "left"), rater_id=1, now=1002.0)
    again = undo(store).pair
    assert again is not None
    assert (again.left, again.right) == (pair.left, pair.right)
    store.votes.record(Ballot("w", again.lease_id, "right"), rater_id=1, now=1004.0)
    old, new = store.reports.votes()
    assert (old.vote.id, old.superseded_by) == ("v", "w")
    assert (new.vote.id, new.superseded_by) == ("w", None)
    assert store.reports.status(max_staleness=2)["labels"]["human"] == 1


def test_a_page_that_is_reloaded_after_an_undo_gets_the_undone_pair_first(store: Store) -> None:
    fill(store, 4)
    first, second = lease(store, 2)
    store.votes.record(Ballot("v", first.lease_id, "left"), rater_id=1, now=1002.0)
    lease(store, 2, shown=[second.lease_id], now=1003.0)
    again = undo(store, now=1004.0).pair
    reloaded = lease(store, 3, now=1005.0)
    assert again is not None
    assert reloaded[0] == again


def test_the_same_undo_sent_twice_takes_back_one_vote(store: Store) -> None:
    fill(store, 2)
    for number, pair in enumerate(lease(store, 2)):
        ballot = Ballot(f"v{number}", pair.lease_id, "left")
        store.votes.record(ballot, rater_id=1, now=1002.0 + number)
    for _ in range(2):
        undo(store, now=1010.0)
    assert store.reports.status(max_staleness=2)["labels"]["human"] == 1


def test_undo_goes_back_one_vote_at_a_time_and_ends_at_the_first(store: Store) -> None:
    fill(store, 2)
    shown = lease(store, 2)
    for number, pair in enumerate(shown):
        ballot = Ballot(f"v{number}", pair.lease_id, "left")
        store.votes.record(ballot, rater_id=1, now=1002.0 + number)
    undone = [undo(store, f"u{n}", now=1010.0) for n in range(3)]
    sides = [one.pair.left if one.pair else None for one in undone]
    assert sides == [shown[1].left, shown[0].left, None]


def test_undo_takes_back_the_last_vote_of_a_page_also_after_the_clock_was_set_back(
    store: Store,
) -> None:
    fill(store, 2)
    (first,) = vote(store, 1, now=5000.0)
    (last,) = vote(store, 1, now=1400.0)
    undo(store, now=1401.0)
    undone = {row.vote.id: row.vote.superseded_by for row in store.reports.votes()}
    assert undone == {first: None, last: "u"}


def test_undo_touches_only_the_votes_of_its_own_page(store: Store) -> None:
    fill(store, 1)
    ballot = Ballot("v", lease(store)[0].lease_id, "left")
    store.votes.record(ballot, rater_id=1, now=1002.0)
    undone = undo(store, holder="x")
    assert (undone.pair, undone.choice) == (None, None)


def test_a_skipped_pair_is_retired_and_is_no_label(store: Store) -> None:
    fill(store, 1)
    ballot = Ballot("v", lease(store)[0].lease_id, "skip")
    store.votes.record(ballot, rater_id=1, now=1002.0)
    status = store.reports.status(max_staleness=2)
    assert status["pairs"] == {"ready": 0, "leased": 0, "labelled": 0, "expired": 1}
    assert status["labels"]["human"] == 0


def test_pairs_given_back_go_to_the_next_rater(store: Store) -> None:
    fill(store, 1)
    held = lease(store)[0].lease_id
    give_back(store, held, rater=1, now=1002.0)
    assert len(lease(store, holder="b")) == 1


def test_a_clean_stop_gives_every_lease_back_and_the_page_can_still_vote(store: Store) -> None:
    fill(store, 2)
    held = [pair.lease_id for pair in lease(store, 2)]
    store.queue.end_all_leases(now=1002.0)
    assert store.reports.status(max_staleness=2)["pairs"]["leased"] == 0
    assert store.votes.record(Ballot("v", held[0], "left"), rater_id=1, now=1003.0).saved


def test_pairs_of_a_version_that_is_not_live_are_not_queued(store: Store) -> None:
    fill(store, 1)
    add_pairs(store, 1, version=7)
    assert store.queue.ready() == 1


def test_a_rater_holds_so_many_pairs_at_most_however_many_pages_are_open(store: Store) -> None:
    fill(store, MAX_HELD + 10)
    other = second_rater(store)
    first = [pair.lease_id for pair in lease(store, 8, holder="first")]
    give_back(store, *first, holder="first", now=1001.0)
    theirs = [pair.lease_id for pair in lease(store, 8, rater=other)]
    held = [lease(store, 8, holder=f"tab {number}") for number in range(10)]
    assert sum(map(len, held)) == MAX_HELD
    give_back(store, *theirs, rater=other, now=1001.0)
    assert lease(store, 8, holder="first", shown=first) == []
    assert len(lease(store, 10, rater=other)) == 10, "nor were given ones taken up again"


def test_an_account_that_is_disabled_behind_the_door_votes_and_leases_no_more(store: Store) -> None:
    fill(store, 3)
    other = second_rater(store)
    cast, held = lease(store, 2, rater=other)
    ballot = Ballot("v", cast.lease_id, "left")
    assert store.votes.record(ballot, rater_id=other, now=1002.0).saved
    store.raters.disable(other, now=1003.0)
    late = store.votes.record(Ballot("w", held.lease_id, "left"), rater_id=other, now=1004.0)
    assert (late.saved, late.reason) == (False, "this account is disabled")
    assert lease(store, 2, rater=other, shown=[held.lease_id]) == []
    assert store.votes.record(ballot, rater_id=other, now=1004.0).saved, "it was saved before"
    assert len(lease(store, 3)) == 2, "what they held waits for others"


def test_an_account_that_is_disabled_behind_the_door_gets_no_pair_by_an_undo(store: Store) -> None:
    fill(store, 1)
    other = second_rater(store)
    vote(store, 1, rater=other)
    store.raters.disable(other, now=1003.0)
    undone = undo(store, rater=other, now=1004.0)
    assert (undone.pair, undone.reason) == (None, "This account is disabled, so the vote stays.")
    assert [row.vote.superseded_by for row in store.reports.votes()] == [None]
    assert store.reports.status(max_staleness=2)["pairs"]["leased"] == 0


def test_disabling_lets_others_have_what_was_held_of_an_older_version(store: Store) -> None:
    fill(store, 1 + N)
    other = second_rater(store)
    lease(store, 1, rater=other)
    make_version(store, 1, pairs=1)
    store.raters.disable(other, now=1030.0)
    assert store.reports.status(max_staleness=2)["pairs"]["ready"] == 2
    assert [pair.version_id for pair in lease(store, 3, now=1031.0)] == [1, 0]


def test_the_undo_of_one_rater_tells_another_nothing(store: Store) -> None:
    fill(store, 2)
    (pair,) = lease(store)
    store.votes.record(Ballot("v", pair.lease_id, "left"), rater_id=1, now=1002.0)
    own = undo(store)
    theirs = undo(store, rater=second_rater(store), now=1004.0)
    assert own.pair is not None
    assert theirs.pair is None
    assert theirs.choice is None
