"""A rater's follow-up: whose votes it may be of, and when it is shown."""

from dataclasses import replace

import pytest

from labeler.store import Store
from labeler.store.learning.follow_ups import Moved
from tests.support.store import N, claim, open_update, promote, second_rater, shown_to, undo, vote
from tests.support.tiny import add_pairs, made_up_pair

MARGIN = 2.5
NOW = 2000.0


@pytest.fixture
def me(store: Store) -> int:
    """The local rater, of whose votes two made version 1; another one gave the others."""
    store.versions.adopt_base(base="test", fingerprint="test", now=1.0)
    store.prompts.add([[{"role": "user", "content": f"{n}?"}] for n in range(6)], now=1.0)
    pairs = [
        replace(made_up_pair(prompt.id or 0, 0), logp_a=-10.0, logp_b=-10.0 - MARGIN)
        for prompt in store.prompts.take(6)
    ]
    store.queue.add(pairs, now=1.0)
    vote(store, 2)
    vote(store, 1, "tie")
    vote(store, N - 2, rater=second_rater(store))
    open_update(store)
    promote(store, claim(store), 1)
    return store.raters.local(now=1.0)


def follow(store: Store, rater: int, version: int = 1) -> Moved:
    """Give a rater their follow-up, of the first vote that waits for it."""
    waiting = {each.rater_id: each.votes for each in store.follow_ups.waiting(version, 9)}
    moved = Moved(waiting[rater][0].vote_id, len(waiting[rater]), 1.2, "What it says now.")
    store.follow_ups.add(rater, version, moved, now=NOW)
    return moved


def test_each_voter_waits_with_the_votes_that_made_the_version(store: Store, me: int) -> None:
    mine, hers = store.follow_ups.waiting(1, 9)
    assert (mine.rater_id, len(mine.votes)) == (me, 2)
    assert len(hers.votes) == N - 2
    assert not {each.vote_id for each in mine.votes} & {each.vote_id for each in hers.votes}
    for learned in (*mine.votes, *hers.votes):
        is_a = learned.chosen_tokens == [21, 22, 0]
        assert learned.margin == (MARGIN if is_a else -MARGIN)
    assert store.follow_ups.waiting(0, 9) == []


def test_a_rater_sees_their_own_alone_and_once(store: Store, me: int) -> None:
    assert store.follow_ups.of(me) is None
    moved = follow(store, me)
    ada = store.raters.find("second").id
    assert [each.rater_id for each in store.follow_ups.waiting(1, 9)] == [ada]
    shown = store.follow_ups.of(me)
    assert shown is not None
    assert (shown.before, shown.live, shown.moved) == (0, 1, moved)
    assert {shown.chosen.split()[0], shown.other.split()[0]} == {"good", "bad"}
    assert store.follow_ups.of(ada) is None
    assert (shown_to(store, me)["follow_up"], shown_to(store, ada)["follow_up"]) == (1, None)
    store.follow_ups.saw(me, 0, now=NOW)
    assert shown_to(store, me)["follow_up"] == 1
    store.follow_ups.saw(me, 1, now=NOW)
    assert shown_to(store, me)["follow_up"] is None
    assert store.follow_ups.of(me) == shown


def test_a_vote_that_counts_no_more_is_not_shown(store: Store, me: int) -> None:
    moved = follow(store, me)
    undo(store, vote_id=moved.vote_id)
    assert store.follow_ups.of(me) is None
    assert shown_to(store, me)["follow_up"] is None


def test_nothing_is_shown_where_it_moved_with_no_vote_or_another_version_is_live(
    store: Store, me: int
) -> None:
    store.follow_ups.add(me, 1, None, now=NOW)
    assert store.follow_ups.of(me) is None
    assert me not in {each.rater_id for each in store.follow_ups.waiting(1, 9)}
    ada = store.raters.find("second").id
    follow(store, ada)
    store.versions.make_live_again(0, now=NOW)
    assert store.follow_ups.of(ada) is None


def test_the_follow_up_of_a_newer_version_takes_its_place_and_is_news_again(
    store: Store, me: int
) -> None:
    follow(store, me)
    store.follow_ups.saw(me, 1, now=NOW)
    add_pairs(store, N, version=1)
    vote(store, N, now=NOW)
    open_update(store, NOW + 1)
    promote(store, claim(store, now=NOW + 2), 2, now=NOW + 3)
    assert store.follow_ups.waiting(2, 9) == []  # nobody knows how likely these replies were
    newest = Moved(follow_up_vote(store, me), 1, 0.5, "Newer.")
    store.follow_ups.add(me, 2, newest, now=NOW + 4)
    assert shown_to(store, me)["follow_up"] == 2
    store.versions.make_live_again(1, now=NOW + 5)
    assert me not in {each.rater_id for each in store.follow_ups.waiting(1, 9)}


def follow_up_vote(store: Store, rater: int) -> str:
    return next(row.vote.id for row in store.reports.votes() if row.vote.rater_id == rater)
