"""Gold pairs and repeats: who gets them, how often, and that nothing gives them away."""

import random
from dataclasses import replace

import pytest
from sqlmodel import col, select

from labeler.domain.errors import BadInput
from labeler.domain.rules import CheckRules
from labeler.domain.states import PairState, Purpose
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Gold, GoldAdded, LeasedPair
from labeler.store.tables import Lease, Pair, Prompt, Vote
from tests.support.store import (
    RULES,
    change,
    claim,
    give_back,
    lease,
    make_version,
    open_update,
    promote,
    rows,
    second_rater,
    shown_to,
    undo,
    vote_on,
)
from tests.support.tiny import add_pairs, fill

GOLD = CheckRules(gold_share=1.0)
REPEAT = CheckRules(repeat_share=1.0)
GOLDS = [Gold([{"role": "user", "content": f"Gold {n}?"}], f"yes {n}", f"no {n}") for n in range(4)]


@pytest.fixture
def rater(store: Store) -> int:
    fill(store, 60)
    return store.raters.local(now=1.0)


def add_gold(store: Store, count: int = 4, seed: int = 0) -> GoldAdded:
    return store.gold.add(GOLDS[:count], now=1000.0, rng=random.Random(seed))


def say(
    store: Store, rater: int, pairs: list[LeasedPair], choice: str = "left", now: float = 1002.0
) -> None:
    for number, pair in enumerate(pairs):
        vote_on(store, pair, choice, rater=rater, now=now + number / 1000)


def pair_of(database: Database, leased: LeasedPair) -> Pair:
    with database.read() as session:
        return session.get_one(Pair, session.get_one(Lease, leased.lease_id).pair_id)


def is_gold(pair: LeasedPair) -> bool:
    return pair.messages[0]["content"].startswith("Gold")


def test_a_gold_pair_goes_to_each_rater_at_most_once_and_to_all_of_them_at_the_same_time(
    store: Store, rater: int
) -> None:
    add_gold(store)
    mine = lease(store, 6, checks=GOLD)
    theirs = lease(store, 6, rater=second_rater(store), checks=GOLD)
    for pairs in (mine, theirs):
        assert sorted(pair.messages[0]["content"] for pair in pairs if is_gold(pair)) == [
            f"Gold {n}?" for n in range(4)
        ]
    say(store, rater, mine)
    assert not any(is_gold(pair) for pair in lease(store, 6, checks=GOLD))


def test_a_gold_pair_that_was_never_voted_on_comes_again_and_one_whose_vote_was_undone_does_not(
    store: Store, rater: int
) -> None:
    add_gold(store, 1)
    (first,) = lease(store, checks=GOLD)
    give_back(store, first.lease_id, rater=rater, now=1001.0)
    (again,) = lease(store, checks=GOLD)
    assert is_gold(first)
    assert is_gold(again)
    say(store, rater, [again])
    undone = undo(store, rater=rater)
    assert undone.pair is not None
    assert (undone.pair.left, undone.pair.right) == (again.left, again.right)
    assert lease(store) == [undone.pair]  # a reloaded page gets it back
    give_back(store, undone.pair.lease_id, rater=rater, now=1004.0)
    assert not is_gold(lease(store, checks=GOLD)[0])


def test_checks_are_their_share_of_what_a_rater_is_handed_the_same_for_the_same_lot(
    store: Store, rater: int
) -> None:
    fill_gold = [Gold([{"role": "user", "content": f"Gold {n}?"}], "yes", "no") for n in range(100)]
    store.gold.add(fill_gold, now=1000.0, rng=random.Random(0))
    for _ in range(6):
        add_pairs(store, 60)
    first, again = (handed_out(store, rater, 400, random.Random(5)) for _ in range(2))
    assert len(first) == 400
    assert 20 <= sum(map(is_gold, first)) <= 60  # 40 expected, deviation 6
    assert [pair.messages for pair in again] == [pair.messages for pair in first]


def handed_out(store: Store, rater: int, count: int, rng: random.Random) -> list[LeasedPair]:
    """So many pairs, fifty at a time: a rater cannot hold more than 64. All are given back."""
    handed: list[LeasedPair] = []
    while len(handed) < count:
        handed += lease(store, 50, rater=rater, checks=CheckRules(gold_share=0.1), rng=rng)
        store.queue.end_all_leases(now=1002.0)
    return handed


def test_a_check_never_comes_where_an_ordinary_pair_would_not(store: Store, rater: int) -> None:
    add_gold(store)
    lease(store, 60)
    other = second_rater(store)
    assert lease(store, 3, rater=other, checks=GOLD) == []


def test_nothing_learns_from_a_check_and_no_count_of_labels_has_it(
    store: Store, rater: int
) -> None:
    add_gold(store)
    say(store, rater, lease(store, 4, checks=GOLD))
    labels = store.reports.status(max_staleness=2)["labels"]
    assert (labels["human"], labels["fresh"]) == (0, 0)
    assert open_update(store) is None
    say(store, rater, lease(store, 4))
    assert open_update(store) is not None
    assert len(claim(store).labels) == 4


def test_the_answer_is_stored_on_a_side_drawn_by_lot(
    store: Store, database: Database, rater: int
) -> None:
    store.gold.add(
        [replace(GOLDS[0], better=f"yes {n}") for n in range(30)], now=1.0, rng=random.Random(1)
    )
    pairs = rows(database, Pair, col(Pair.purpose) == Purpose.GOLD)
    assert {pair.answer for pair in pairs} == {"a", "b"}
    for pair in pairs:
        better = pair.response_a if pair.answer == "a" else pair.response_b
        assert better.startswith("yes")
        assert pair.state is PairState.CHECK


def test_adding_gold_twice_counts_duplicates_and_removed_ones_come_back(
    store: Store, rater: int
) -> None:
    assert add_gold(store, 2) == GoldAdded(2, 0)
    assert add_gold(store, 3, seed=9) == GoldAdded(1, 2)
    numbers = [row["id"] for row in store.gold.all()]
    store.gold.remove(numbers[0], now=1005.0)
    assert [row["id"] for row in store.gold.all()] == numbers[1:]
    assert sum(map(is_gold, lease(store, 6, checks=GOLD))) == 2
    with pytest.raises(BadInput, match="gold list"):
        store.gold.remove(numbers[0], now=1006.0)
    assert add_gold(store, 1) == GoldAdded(1, 0)
    assert [row["id"] for row in store.gold.all()] == numbers


def test_the_opposite_of_a_gold_pair_is_left_out_until_that_one_is_removed(
    store: Store, rater: int
) -> None:
    add_gold(store, 2)
    first, _ = [row["id"] for row in store.gold.all()]
    opposite = [replace(GOLDS[0], better=GOLDS[0].worse, worse=GOLDS[0].better)]
    add = lambda golds: store.gold.add(golds, now=1001.0, rng=random.Random(1))  # noqa: E731
    assert add(opposite) == GoldAdded(0, 0, (first,))
    store.gold.remove(first, now=1002.0)
    assert add(opposite) == GoldAdded(1, 0)
    [_, third] = [row["id"] for row in store.gold.all()]
    assert add(GOLDS[:1]) == GoldAdded(0, 0, (third,))


def test_the_list_says_how_many_votes_on_each_gold_pair_were_right(
    store: Store, database: Database, rater: int
) -> None:
    add_gold(store, 2)
    pairs = lease(store, 2, checks=GOLD)
    right = "left" if pairs[0].left.startswith("yes") else "right"
    say(store, rater, pairs[:1], right)
    say(store, rater, pairs[1:], "tie")
    rows = {row["id"]: (row["right"], row["votes"]) for row in store.gold.all()}
    assert sorted(rows.values()) == [(0, 1), (1, 1)]
    assert rows[pair_of(database, pairs[0]).id] == (1, 1)


def test_gold_needs_a_policy_and_its_prompts_are_not_sampled_for(store: Store) -> None:
    with pytest.raises(BadInput, match="livedpo serve"):
        add_gold(store)
    fill(store, 1)
    add_gold(store)
    taken = store.prompts.take(10)
    assert [prompt.messages[0]["content"] for prompt in taken] == ["Question 0?"]


def test_a_check_is_said_to_be_of_the_version_that_was_live_when_it_was_handed_out(
    store: Store, rater: int
) -> None:
    add_gold(store)
    other = second_rater(store)
    (before,) = lease(store, rater=other, checks=GOLD)
    make_version(store, 1)
    (after,) = lease(store, 2, rater=other, checks=GOLD, now=1030.0, shown=(before.lease_id,))
    assert is_gold(before)
    assert is_gold(after)
    assert (before.version_id, after.version_id) == (0, 1)
    again = lease(store, 2, rater=other, now=1031.0)  # a reload
    assert [pair.version_id for pair in again] == [0, 1]


def say_next(
    store: Store, rater: int, count: int, choice: str = "left", *, now: float
) -> list[LeasedPair]:
    pairs = lease(store, count, rater=rater, now=now)
    say(store, rater, pairs, choice, now=now)
    return pairs


def test_repeats_begin_with_the_30th_vote_and_leave_out_the_last_twenty(
    store: Store, database: Database, rater: int
) -> None:
    early = say_next(store, rater, 10, now=1002.0)
    say_next(store, rater, 19, now=1003.0)
    assert pair_of(database, lease(store, checks=REPEAT)[0]).purpose is Purpose.LOOP
    store.queue.end_all_leases(now=1004.0)
    say_next(store, rater, 1, now=1005.0)
    repeats = [pair_of(database, pair) for pair in lease(store, 12, checks=REPEAT)]
    copies = [pair for pair in repeats if pair.purpose is Purpose.REPEAT]
    assert len(copies) == 10
    sources = {pair_of(database, pair).id: pair_of(database, pair) for pair in early}
    assert {copy.source_pair_id for copy in copies} == set(sources)  # each once
    for copy in copies:
        source = sources[copy.source_pair_id]
        assert (copy.response_a, copy.response_b) == (source.response_a, source.response_b)
        assert (copy.prompt_id, copy.for_rater_id) == (source.prompt_id, rater)
        assert copy.state is PairState.CHECK
    assert not [
        p
        for p in lease(store, 12, rater=second_rater(store), checks=REPEAT)
        if pair_of(database, p) in copies
    ]


def test_skips_are_not_repeated_and_a_repeat_handed_out_in_vain_comes_first(
    store: Store, database: Database, rater: int
) -> None:
    say_next(store, rater, 9, "skip", now=1002.0)
    kept = say_next(store, rater, 2, "tie", now=1003.0)
    say_next(store, rater, 20, now=1004.0)
    (first,) = lease(store, checks=REPEAT)
    source = pair_of(database, first).source_pair_id
    assert source in [pair_of(database, pair).id for pair in kept]
    give_back(store, first.lease_id, rater=rater, now=1003.0)
    (again,) = lease(store, checks=REPEAT)
    assert pair_of(database, again).id == pair_of(database, first).id


def page(store: Store, rater: int) -> tuple[int, int, int]:
    shown = shown_to(store, rater, replace(RULES, labels_per_update=10))
    return shown["votes"], shown["fresh"], shown["ready"]


@pytest.mark.parametrize("choice", ["left", "tie", "skip"])
@pytest.mark.parametrize("votes_wanted", [1, 2])
def test_the_counters_of_the_page_move_on_a_check_as_on_any_other_pair(
    store: Store, database: Database, rater: int, choice: str, votes_wanted: int
) -> None:
    """Handed out, voted on, undone, voted on again: the same numbers, gold or not."""
    add_gold(store)
    for ready in rows(database, Pair, col(Pair.state) == PairState.READY):
        change(database, Pair, ready.id, votes_wanted=votes_wanted)
    say(store, other := second_rater(store), lease(store, 4, rater=other))  # whose pairs come first

    def seen(checks: CheckRules | None) -> list[tuple[int, int, int]]:
        begin = page(store, rater)
        moves = []

        def look() -> None:
            moves.append(tuple(n - b for n, b in zip(page(store, rater), begin, strict=True)))

        (pair,) = lease(store, checks=checks)
        assert is_gold(pair) is (checks is not None)
        look()
        say(store, rater, [pair], choice)
        look()
        undone = undo(store, "u" + pair.lease_id, rater=rater)
        look()
        assert undone.pair is not None
        say(store, rater, [undone.pair], choice)
        look()
        return moves

    assert seen(GOLD) == seen(None)


def test_a_vote_on_a_check_is_told_as_an_ordinary_one_of_its_time_is(
    store: Store, rater: int
) -> None:
    """Two raters vote at the same times, one of them on a gold pair in the middle, and the other
    on ordinary pairs alone; some votes judge the update instead of making it.
    """
    add_gold(store, 1)
    other = second_rater(store)
    rules = replace(RULES, labels_per_update=8, held_out_share=0.5)
    for at in range(1002, 1008):
        say(store, rater, lease(store, checks=GOLD if at == 1004 else None), now=at)
        say(store, other, lease(store, rater=other), now=at)
    assert store.updates.open_if_due(rules, now=1010.0) is not None
    for who in (rater, other):  # too late for this update
        say(store, who, lease(store, rater=who), now=1011.0)
    claimed = claim(store, now=1012.0, rules=rules)
    assert claimed.held_out
    promote(store, claimed, 1)

    def told(who: int) -> tuple[object, ...]:
        past = store.history.last(rater_id=who, limit=30, votes=rules.votes)
        [change] = store.changes.of(who, last=10)
        result = shown_to(store, who, rules)["result"]
        return [vote.trained for vote in past], change.my_labels, result["my_labels"]

    assert told(rater) == told(other)
    assert told(rater)[0] == [None, 1, 1, 1, 1, 1, 1]


def test_a_rater_never_gave_more_labels_than_an_update_had(store: Store, rater: int) -> None:
    """Nor are those that made the version before told again."""
    add_gold(store, 2)
    for number, at in ((1, 1002.0), (2, 1030.0)):
        say(store, rater, lease(store, checks=GOLD, now=at), now=at)
        say(store, rater, lease(store, 4, now=at), now=at)
        assert open_update(store, at + 8) is not None
        promote(store, claim(store, now=at + 9), number, now=at + 10)
        add_pairs(store, 9, version=number)
    assert [change.my_labels for change in store.changes.of(rater, last=10)] == [4, 4]


def test_the_dashboard_counts_labels_as_the_status_does(store: Store, rater: int) -> None:
    """Not those on checks; but an edit is one of its own."""
    add_gold(store)
    say(store, rater, lease(store, 4, checks=GOLD))
    (last,) = lease(store)
    vote_on(store, last, rater=rater, now=1003.0, edit="A better one.")
    labels = store.reports.status(max_staleness=2)["labels"]["human"]
    series = store.dashboard.series(start=1000.0, bucket_seconds=10.0)
    assert labels == store.dashboard.totals().human == 2
    assert store.dashboard.now(RULES, now=1004.0).labels_hour == labels
    assert series.human == {0: labels}


def test_the_progress_never_says_that_an_update_is_due_when_it_is_not(
    store: Store, rater: int
) -> None:
    add_gold(store)
    rules = replace(RULES, labels_per_update=6)

    def fresh() -> int:
        return int(shown_to(store, rater, rules)["fresh"])

    say(store, rater, lease(store, 4, checks=GOLD))
    assert fresh() == 4
    say(store, rater, lease(store, 5))
    assert fresh() == 5
    assert store.updates.open_if_due(rules, now=1010.0) is None
    say(store, rater, lease(store))
    assert fresh() == 6
    assert store.updates.open_if_due(rules, now=1010.0) is not None
    promote(store, claim(store, rules=rules), 1)
    assert fresh() == 0  # the checks went with the labels


def test_an_update_lists_no_vote_on_a_check_even_beside_used_ones(
    store: Store, database: Database, rater: int
) -> None:
    add_gold(store)
    say(store, rater, lease(store, 4, checks=GOLD))
    make_version(store, 1)
    make_version(store, 2, now=1040.0)
    checks = select(Pair.id).where(col(Pair.state) == PairState.CHECK)
    votes = rows(database, Vote, col(Vote.pair_id).in_(checks))
    gold = rows(database, Prompt, col(Prompt.pooled).is_(False))
    assert len(votes) == len(gold) == 4
    assert all(vote.used_in_update is None for vote in votes)
