"""Raters' own prompts in the store, from the ask to the vote."""

import random
from dataclasses import replace
from typing import Any

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.rules import JudgeRules
from labeler.domain.states import AskState
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.learning.pruning import tidy
from labeler.store.rating.asks import MAX_OPEN, MAX_READY, MAX_TRIES, AskView
from labeler.store.records import LeasedPair
from tests.support.store import lease, make_version, second_rater, shown_to, vote, vote_on
from tests.support.tiny import fill, made_up_pair

PAIR = made_up_pair(0, 0)


@pytest.fixture
def me(store: Store) -> int:
    fill(store, 12)
    return store.raters.local(now=1.0)


def ask(store: Store, rater: int, name: str = "a", text: str = "Mine?", **changed: Any) -> AskView:
    fields: dict[str, Any] = {"text": text, "continues": None, "now": 1000.0, **changed}
    found = store.asks.add(name, rater_id=rater, **fields)
    assert found is not None
    return found


def look_for(store: Store, rater: int, name: str = "a", **changed: Any) -> AskView | None:
    fields = {"holder": "tab", "gone": None, "seconds": 60, "now": 1002.0, **changed}
    return store.asks.look(name, rater_id=rater, rng=random.Random(0), **fields)


def look(store: Store, rater: int, name: str = "a", **changed: Any) -> AskView:
    """The ask, which is there."""
    found = look_for(store, rater, name, **changed)
    assert found is not None
    return found


def look_at_pair(store: Store, rater: int, name: str = "a", **changed: Any) -> LeasedPair:
    """The pair of the ask, which the page holds."""
    pair = look(store, rater, name, **changed).pair
    assert pair is not None
    return pair


def answered(store: Store, rater: int, name: str = "a") -> LeasedPair:
    """Asked, taken and answered; then looked at by the page `tab`."""
    ask(store, rater, name)
    assert [asked.id for asked in store.asks.take(8, now=1001.0)] == [name]
    assert store.asks.answer(name, PAIR, now=1001.0)
    return look_at_pair(store, rater, name)


def test_an_ask_becomes_a_pair_that_the_rater_holds_and_votes_on(store: Store, me: int) -> None:
    assert ask(store, me).state is AskState.WAITING
    [asked] = store.asks.take(8, now=1001.0)
    assert asked.messages == [{"role": "user", "content": "Mine?"}]
    store.asks.progress({"a": 7}, most=24, now=1001.1)
    seen = look(store, me)
    assert (seen.state, seen.done_tokens, seen.max_tokens) == (AskState.SAMPLING, 7, 24)
    assert store.asks.answer("a", PAIR, now=1001.5)
    assert store.asks.take(8, now=1001.6) == []
    pair = look_at_pair(store, me)
    assert {pair.left, pair.right} == {PAIR.response_a, PAIR.response_b}
    assert look_at_pair(store, me) == pair
    vote_on(store, pair, now=1003.0)
    row = store.reports.votes()[-1]
    assert (row.messages[-1]["content"], row.pair.purpose) == ("Mine?", "own")
    assert look(store, me).pair is None
    assert store.reports.status(max_staleness=2)["labels"]["fresh"] == 1


def test_the_same_ask_sent_twice_is_one_and_nobody_else_sees_it(store: Store, me: int) -> None:
    ask(store, me)
    ask(store, me, text="Mine, once more?")
    assert len(store.asks.take(8, now=1001.0)) == 1
    stranger = second_rater(store)
    mine = {"text": "x", "continues": None, "now": 1.0}
    assert store.asks.add("a", rater_id=stranger, **mine) is None  # type: ignore[arg-type]
    assert look_for(store, stranger) is None


def test_a_rater_has_a_few_open_asks_at_most_and_others_have_theirs(store: Store, me: int) -> None:
    for number in range(MAX_OPEN):
        ask(store, me, str(number))
    with pytest.raises(BadInput, match="3 prompts of yours wait"):
        ask(store, me, "one more")
    ask(store, second_rater(store), "hers")
    store.asks.take(8, now=1001.0)
    store.asks.answer("0", PAIR, now=1001.0)
    ask(store, me, "one more")


def test_a_pair_that_a_rater_asked_for_goes_to_nobody_else(store: Store, me: int) -> None:
    vote(store, 12)
    stranger = second_rater(store)
    ask(store, me)
    store.asks.take(8, now=1001.0)
    store.asks.answer("a", PAIR, now=1001.0)
    assert store.queue.ready() == 0
    assert lease(store, 9, rater=stranger, holder="new") == []
    [mine] = lease(store, 9, holder="new")
    assert mine.messages[-1]["content"] == "Mine?"


def test_a_judge_leaves_a_raters_own_prompt_alone(store: Store, me: int) -> None:
    vote(store, 12)
    ask(store, me)
    store.asks.take(8, now=1001.0)
    store.asks.answer("a", replace(PAIR, double=True), now=1001.0)
    rules = JudgeRules(judge="j", after_seconds=0, max_staleness=2)
    assert store.judging.waiting(rules, labels=True, limit=9, now=9e9) == []


def test_an_open_tab_keeps_a_reply_and_a_closed_one_hands_it_over_on_the_same_sides(
    store: Store, me: int
) -> None:
    first = answered(store, me)
    elsewhere = look(store, me, holder="new")
    assert (elsewhere.pair, elsewhere.elsewhere) == (None, "tab")
    assert look_at_pair(store, me, holder="new", gone="tab") == first
    store.queue.end_expired_leases(now=2000.0)
    later = look_at_pair(store, me, holder="later", now=2001.0)
    assert (later.left, later.right) == (first.left, first.right)


def test_a_page_finds_what_waits_and_what_has_no_vote_yet(store: Store, me: int) -> None:
    ready = answered(store, me, "ready")
    ask(store, me, "waits", now=1004.0)
    page = shown_to(store, me)
    assert page["asks"] == ["ready", "waits"]
    vote_on(store, ready, "right", now=1003.0)
    assert shown_to(store, me)["asks"] == ["waits"]
    assert shown_to(store, second_rater(store))["asks"] == []


def test_a_reply_of_a_version_that_is_live_no_more_is_sampled_again(store: Store, me: int) -> None:
    ask(store, me)
    store.asks.take(8, now=1001.0)
    make_version(store, 1)
    assert not store.asks.answer("a", PAIR, now=1002.0)
    for _ in range(MAX_TRIES):  # the versions' changes count as no try
        assert [asked.id for asked in store.asks.take(8, now=1003.0)] == ["a"]
        store.asks.answer("a", PAIR, now=1003.0)
    store.asks.take(8, now=1004.0)
    assert store.asks.answer("a", replace(PAIR, version_id=1), now=1004.0)


def test_a_new_version_takes_an_unread_reply_away_but_the_page_that_waits_still_gets_it(
    store: Store, me: int
) -> None:
    ask(store, me)
    store.asks.take(8, now=1001.0)
    store.asks.answer("a", PAIR, now=1001.0)
    make_version(store, 1)
    assert shown_to(store, me)["asks"] == []
    vote_on(store, look_at_pair(store, me), now=1003.0)


def test_an_ask_that_a_dead_worker_held_is_taken_again_but_not_for_ever(
    store: Store, me: int
) -> None:
    ask(store, me)
    for _ in range(MAX_TRIES):
        assert len(store.asks.take(8, now=1001.0)) == 1
    assert store.asks.take(8, now=1001.0) == []
    found = look(store, me)
    assert found.state is AskState.FAILED
    assert "stopped in each of 3 tries" in str(found.reason)


def test_asks_that_a_dead_worker_held_are_taken_one_by_one_and_only_its_killer_ends(
    store: Store, me: int
) -> None:
    for number, name in enumerate(("good", "killer", "late")):
        ask(store, me, name, now=1000.0 + number)
    taken = []
    while asked := [one.id for one in store.asks.take(8, now=1001.0)]:
        taken.append(asked)
        if "killer" not in asked:
            for name in asked:
                store.asks.answer(name, PAIR, now=1001.0)
    assert taken == [["good", "killer", "late"], ["good"], ["killer"], ["killer"], ["late"]]
    states = [look(store, me, name).state for name in taken[0]]
    assert states == [AskState.READY, AskState.FAILED, AskState.READY]


def test_a_rater_has_a_few_replies_without_a_vote_at_most(store: Store, me: int) -> None:
    for number in range(MAX_READY):
        last = answered(store, me, str(number))
    with pytest.raises(BadInput, match=f"{MAX_READY} replies to prompts of yours wait"):
        ask(store, me, "one more")
    vote_on(store, last, now=1003.0)
    ask(store, me, "one more")
    assert len(shown_to(store, me)["asks"]) == MAX_READY


def test_a_conversation_goes_on_with_the_reply_that_the_vote_prefers(store: Store, me: int) -> None:
    first = answered(store, me)
    voted = vote_on(store, first, "right", now=1003.0)
    ask(store, me, "next", text="And then?", continues=voted)
    [asked] = store.asks.take(8, now=1004.0)
    assert asked.messages == [
        {"role": "user", "content": "Mine?"},
        {"role": "assistant", "content": first.right},
        {"role": "user", "content": "And then?"},
    ]


def test_a_conversation_goes_on_with_the_text_that_the_rater_made_of_the_reply(
    store: Store, me: int
) -> None:
    voted = vote_on(store, answered(store, me), now=1003.0, edit="Better.")
    ask(store, me, "next", continues=voted)
    [asked] = store.asks.take(8, now=1004.0)
    assert asked.messages[1] == {"role": "assistant", "content": "Better."}


def test_only_a_standing_vote_of_ones_own_that_prefers_a_reply_goes_on(
    store: Store, me: int
) -> None:
    [tie] = vote(store, 1, "tie")
    [undone] = vote(store, 1, "left", now=1003.0)
    undo = {"undo_id": "u", "holder": "tab", "seconds": 60, "now": 1004.0}
    store.votes.undo(rater_id=me, **undo)  # type: ignore[arg-type]
    [mine] = vote(store, 1, "left", now=1005.0)
    for number, (voted, says) in enumerate(
        [("nothing", "is not known"), (tie, "prefers neither"), (undone, "was undone")]
    ):
        with pytest.raises(BadInput, match=says):
            ask(store, me, str(number), continues=voted)
    with pytest.raises(BadInput, match="is not known"):
        ask(store, second_rater(store), "hers", continues=mine)


def test_pairs_nobody_answered_are_tidied_away_with_their_asks(
    store: Store, database: Database, me: int
) -> None:
    ask(store, me)
    store.asks.take(8, now=1001.0)
    store.asks.answer("a", PAIR, now=1001.0)
    make_version(store, 1)
    late = 1000.0 + 30 * 86_400
    while tidy(database, now=late, max_expired=0):
        pass
    assert look_for(store, me) is None


def test_own_prompts_are_not_sampled_for_others(store: Store, me: int) -> None:
    answered(store, me)
    assert "Mine?" not in [prompt.messages[-1]["content"] for prompt in store.prompts.take(99)]


def test_a_disabled_account_asks_nothing_and_its_asks_wait_until_it_is_enabled(
    store: Store, me: int
) -> None:
    theirs = second_rater(store)
    ask(store, theirs, "theirs")
    ask(store, me, "mine", now=1001.0)
    store.raters.disable(theirs, now=1002.0)
    with pytest.raises(BadInput, match="is disabled"):
        ask(store, theirs, "late")
    assert [asked.id for asked in store.asks.take(8, now=1003.0)] == ["mine"]
    store.raters.enable(theirs)
    assert store.asks.take(8, now=1004.0)[0].id == "theirs"


def test_a_disabled_account_holds_no_reply_until_it_is_enabled(store: Store) -> None:
    fill(store, 12)
    theirs = second_rater(store)
    answered(store, theirs)
    store.raters.disable(theirs, now=1002.0)
    assert look(store, theirs, now=1003.0).pair is None
    assert store.reports.status(max_staleness=2)["pairs"]["leased"] == 0
    store.raters.enable(theirs)
    assert look_at_pair(store, theirs, now=1004.0)
