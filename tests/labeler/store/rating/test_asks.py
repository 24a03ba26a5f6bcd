"""Raters' own prompts in the store, from the ask to the vote."""

import random
from dataclasses import replace
from typing import Any

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.rules import JudgeRules
from labeler.domain.states import AskState, RaterRole
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.learning.pruning import tidy
from labeler.store.rating.asks import MAX_OPEN, MAX_READY, MAX_TRIES, AskView
from labeler.store.records import Ballot
from tests.support.store import RULES, make_version, vote
from tests.support.tiny import fill, made_up_pair

PAIR = made_up_pair(0, 0)


@pytest.fixture
def me(store: Store) -> int:
    fill(store, 12)
    return store.raters.local(now=1.0)


def other(store: Store) -> int:
    """Another rater."""
    store.raters.invite("Ada", RaterRole.RATER, now=1.0)
    return store.raters.find("Ada").id


def ask(store: Store, rater: int, name: str = "a", text: str = "Mine?", **changed: Any) -> AskView:
    fields: dict[str, Any] = {"text": text, "continues": None, "now": 1000.0, **changed}
    found = store.asks.add(name, rater_id=rater, **fields)
    assert found is not None
    return found


def look(store: Store, rater: int, name: str = "a", **changed: Any) -> AskView | None:
    fields = {"holder": "tab", "gone": None, "seconds": 60, "now": 1002.0, **changed}
    return store.asks.look(name, rater_id=rater, rng=random.Random(0), **fields)


def answered(store: Store, rater: int, name: str = "a", **changed: Any) -> AskView:
    """Asked, taken and answered; then looked at by the page `tab`."""
    ask(store, rater, name, **changed)
    assert [asked.id for asked in store.asks.take(8, now=1001.0)] == [name]
    assert store.asks.answer(name, PAIR, now=1001.0)
    found = look(store, rater, name)
    assert found is not None
    return found


def cast(store: Store, rater: int, lease_id: str, choice: str, now: float = 1003.0) -> str:
    vote_id = f"vote {lease_id}"
    ballot = Ballot(vote_id, lease_id, choice)
    assert store.votes.record(ballot, rater_id=rater, now=now).saved
    return vote_id


def test_an_ask_becomes_a_pair_that_the_rater_holds_and_votes_on(store: Store, me: int) -> None:
    assert ask(store, me).state is AskState.WAITING
    [asked] = store.asks.take(8, now=1001.0)
    assert asked.messages == [{"role": "user", "content": "Mine?"}]
    store.asks.progress({"a": 7}, most=24)
    seen = look(store, me)
    assert seen is not None
    assert (seen.state, seen.done_tokens, seen.max_tokens) == (AskState.SAMPLING, 7, 24)
    assert store.asks.answer("a", PAIR, now=1001.5)
    assert store.asks.take(8, now=1001.6) == []
    seen = look(store, me)
    assert seen is not None
    assert seen.pair is not None
    assert {seen.pair.left, seen.pair.right} == {PAIR.response_a, PAIR.response_b}
    again = look(store, me)
    assert again == seen
    cast(store, me, seen.pair.lease_id, "left")
    row = store.reports.votes()[-1]
    assert (row.messages[-1]["content"], row.pair.purpose) == ("Mine?", "own")
    after = look(store, me)
    assert after is not None
    assert after.pair is None
    assert store.reports.status(max_staleness=2)["labels"]["fresh"] == 1


def test_the_same_ask_sent_twice_is_one_and_nobody_else_sees_it(store: Store, me: int) -> None:
    ask(store, me)
    ask(store, me, text="Mine, once more?")
    assert len(store.asks.take(8, now=1001.0)) == 1
    stranger = other(store)
    mine = {"text": "x", "continues": None, "now": 1.0}
    assert store.asks.add("a", rater_id=stranger, **mine) is None  # type: ignore[arg-type]
    assert look(store, stranger) is None


def test_a_rater_has_a_few_open_asks_at_most_and_others_have_theirs(store: Store, me: int) -> None:
    for number in range(MAX_OPEN):
        ask(store, me, str(number))
    with pytest.raises(BadInput, match="3 prompts of yours wait"):
        ask(store, me, "one more")
    ask(store, other(store), "hers")
    store.asks.take(8, now=1001.0)
    store.asks.answer("0", PAIR, now=1001.0)
    ask(store, me, "one more")


def test_a_pair_that_a_rater_asked_for_goes_to_nobody_else(store: Store, me: int) -> None:
    vote(store, 12)
    stranger = other(store)
    ask(store, me)
    store.asks.take(8, now=1001.0)
    store.asks.answer("a", PAIR, now=1001.0)
    assert store.queue.ready() == 0
    draw = {"holder": "new", "wanted": 9, "seconds": 60, "now": 1002.0, "rng": random.Random(0)}
    assert store.queue.lease(rater_id=stranger, **draw) == []  # type: ignore[arg-type]
    [mine] = store.queue.lease(rater_id=me, **draw)  # type: ignore[arg-type]
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
    assert elsewhere is not None
    assert (elsewhere.pair, elsewhere.elsewhere) == (None, "tab")
    moved = look(store, me, holder="new", gone="tab")
    assert moved is not None
    assert moved.pair == first.pair
    store.queue.end_expired_leases(now=2000.0)
    later = look(store, me, holder="later", now=2001.0)
    assert later is not None
    assert later.pair is not None
    assert first.pair is not None
    assert (later.pair.left, later.pair.right) == (first.pair.left, first.pair.right)


def test_a_page_finds_what_waits_and_what_has_no_vote_yet(store: Store, me: int) -> None:
    ready = answered(store, me, "ready")
    ask(store, me, "waits", now=1004.0)
    page = store.reports.page(rater_id=me, rules=RULES)
    assert page["asks"] == ["ready", "waits"]
    assert ready.pair is not None
    cast(store, me, ready.pair.lease_id, "right")
    assert store.reports.page(rater_id=me, rules=RULES)["asks"] == ["waits"]
    assert store.reports.page(rater_id=other(store), rules=RULES)["asks"] == []


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
    assert store.reports.page(rater_id=me, rules=RULES)["asks"] == []
    found = look(store, me)
    assert found is not None
    assert found.pair is not None
    cast(store, me, found.pair.lease_id, "left")


def test_an_ask_that_a_dead_worker_held_is_taken_again_but_not_for_ever(
    store: Store, me: int
) -> None:
    ask(store, me)
    for _ in range(MAX_TRIES):
        assert len(store.asks.take(8, now=1001.0)) == 1
    assert store.asks.take(8, now=1001.0) == []
    found = look(store, me)
    assert found is not None
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
    states = [found.state for name in taken[0] if (found := look(store, me, name))]
    assert states == [AskState.READY, AskState.FAILED, AskState.READY]


def test_a_rater_has_a_few_replies_without_a_vote_at_most(store: Store, me: int) -> None:
    for number in range(MAX_READY):
        last = answered(store, me, str(number))
    with pytest.raises(BadInput, match=f"{MAX_READY} replies to prompts of yours wait"):
        ask(store, me, "one more")
    assert last.pair is not None
    cast(store, me, last.pair.lease_id, "left")
    ask(store, me, "one more")
    assert len(store.reports.page(rater_id=me, rules=RULES)["asks"]) == MAX_READY


def test_a_conversation_goes_on_with_the_reply_that_the_vote_prefers(store: Store, me: int) -> None:
    first = answered(store, me)
    assert first.pair is not None
    voted = cast(store, me, first.pair.lease_id, "right")
    ask(store, me, "next", text="And then?", continues=voted)
    [asked] = store.asks.take(8, now=1004.0)
    assert asked.messages == [
        {"role": "user", "content": "Mine?"},
        {"role": "assistant", "content": first.pair.right},
        {"role": "user", "content": "And then?"},
    ]


def test_a_conversation_goes_on_with_the_text_that_the_rater_made_of_the_reply(
    store: Store, me: int
) -> None:
    first = answered(store, me)
    assert first.pair is not None
    lease = first.pair.lease_id
    ballot = Ballot("v", lease, "left", edit="Better.")
    assert store.votes.record(ballot, rater_id=me, now=1003.0).saved
    ask(store, me, "next", continues="v")
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
        ask(store, other(store), "hers", continues=mine)


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
    assert look(store, me) is None


def test_own_prompts_are_not_sampled_for_others(store: Store, me: int) -> None:
    answered(store, me)
    assert "Mine?" not in [prompt.messages[-1]["content"] for prompt in store.prompts.take(99)]


def test_a_disabled_account_asks_nothing_and_its_asks_wait_until_it_is_enabled(
    store: Store, me: int
) -> None:
    theirs = other(store)
    ask(store, theirs, "theirs")
    ask(store, me, "mine", now=1001.0)
    store.raters.disable(theirs, now=1002.0)
    with pytest.raises(BadInput, match="is disabled"):
        ask(store, theirs, "late")
    assert [asked.id for asked in store.asks.take(8, now=1003.0)] == ["mine"]
    store.raters.enable(theirs)
    assert store.asks.take(8, now=1004.0)[0].id == "theirs"
