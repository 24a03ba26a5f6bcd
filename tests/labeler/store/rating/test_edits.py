"""Edited responses, late reasons, and a rater's own past votes."""

import pytest

from labeler.domain.labels import VoteRules
from labeler.domain.states import Choice, PairState, Purpose
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Ballot, LeasedPair
from labeler.store.tables import Pair
from tests.support.store import (
    change,
    claim,
    give_back,
    lease,
    open_update,
    promote,
    second_rater,
    shown_to,
    undo,
)
from tests.support.tiny import fill


def vote(store: Store, pair: LeasedPair, name: str = "v", **more: object) -> None:
    ballot = Ballot(name, pair.lease_id, str(more.pop("choice", "left")), **more)  # type: ignore[arg-type]
    assert store.votes.record(ballot, rater_id=1, now=1002.0).saved


def make_check(database: Database) -> None:
    """Turn the oldest pair into one that checks raters."""
    change(database, Pair, 1, state=PairState.CHECK)


def past(store: Store, limit: int = 30) -> list[str]:
    return [one.vote_id for one in store.history.last(rater_id=1, limit=limit, votes=VoteRules())]


def test_an_edit_is_a_pair_of_its_own_chosen_over_what_it_was_made_of(store: Store) -> None:
    fill(store, 1)
    (shown,) = lease(store)
    vote(store, shown, edit="A better one.")
    first, second = store.reports.votes()
    assert (first.vote.choice, second.vote.choice) == (
        Choice.A if shown.left.startswith("good") else Choice.B,
        Choice.A,
    )
    edit = second.pair
    assert (edit.purpose, edit.state) == (Purpose.EDIT, PairState.LABELLED)
    assert (edit.response_a, edit.response_b) == ("A better one.", shown.left)
    assert (edit.source_pair_id, edit.source_vote_id) == (first.pair.id, "v")
    original = first.pair
    of_left = shown.left == original.response_a
    assert edit.tokens_b == (original.tokens_a if of_left else original.tokens_b)
    assert edit.needs_tokens
    assert edit.prompt_tokens == original.prompt_tokens


@pytest.mark.parametrize("of_a", [True, False])
def test_an_edit_has_the_hint_of_what_was_edited(
    of_a: bool, store: Store, database: Database
) -> None:
    fill(store, 1)
    (shown,) = lease(store)
    is_a = shown.left.startswith("good")
    hints = ["Be brief.", None] if of_a else [None, "Be brief."]
    change(database, Pair, 1, sampling={"seed": 5, "hints": hints})
    vote(store, shown, edit="A better one.")
    _, edit = store.reports.votes()
    kept = {"hints": [None, "Be brief."]} if is_a == of_a else {}
    assert edit.pair.sampling == {"seed": 5} | kept


def test_the_thought_of_a_reply_stays_before_its_edit(store: Store, database: Database) -> None:
    fill(store, 1)
    thoughts = {f"response_{side}": f"<think>{side}</think>\n\nYes." for side in "ab"}
    change(database, Pair, 1, **thoughts)
    (shown,) = lease(store)
    vote(store, shown, edit="No.")
    made = [row.pair.response_a for row in store.reports.votes() if row.pair.source_vote_id]
    assert made == [shown.left.replace("Yes.", "No.")]


def test_a_reply_saved_as_it_was_after_its_thought_is_no_edit(
    store: Store, database: Database
) -> None:
    fill(store, 1)
    change(database, Pair, 1, response_a="<think>a</think>Yes.", response_b="<think>b</think>Yes.")
    vote(store, lease(store)[0], edit="Yes.\n")
    assert len(store.reports.votes()) == 1


def test_no_update_lists_an_edit_before_it_has_its_tokens(store: Store) -> None:
    fill(store, 1)
    vote(store, lease(store)[0], edit="A better one.")
    assert shown_to(store, 1)["fresh"] == 1
    (waiting,) = store.edits.untokenised(9)
    store.edits.tokenise(waiting.pair_id, [5, 0], reference_logp=-3.0, logp=None)
    assert shown_to(store, 1)["fresh"] == 2
    assert store.edits.untokenised(9) == []


def test_the_edit_counts_as_no_second_vote_of_its_rater(store: Store) -> None:
    fill(store, 1)
    vote(store, lease(store)[0], edit="A better one.")
    assert shown_to(store, 1)["votes"] == 1
    assert past(store) == ["v"]


def test_a_vote_may_have_any_id_that_a_page_can_make_beside_an_edit(store: Store) -> None:
    fill(store, 2)
    first, second = lease(store, 2)
    vote(store, first, edit="A better one.")
    vote(store, second, "v-edit")
    assert undo(store, vote_id="v").edit == "A better one."
    assert past(store) == ["v-edit"]


@pytest.mark.parametrize("text", ["", "  \n", None])
def test_a_blank_edit_is_just_a_vote(store: Store, text: str | None) -> None:
    fill(store, 1)
    vote(store, lease(store)[0], edit=text)
    assert len(store.reports.votes()) == 1


def test_an_edit_that_changes_nothing_is_just_a_vote(store: Store) -> None:
    fill(store, 1)
    (shown,) = lease(store)
    vote(store, shown, edit=f"{shown.left}\n")
    assert len(store.reports.votes()) == 1


def test_the_same_vote_sent_twice_makes_one_edit(store: Store) -> None:
    fill(store, 1)
    (shown,) = lease(store)
    for _ in range(2):
        vote(store, shown, edit="A better one.")
    assert len(store.reports.votes()) == 2


def test_undo_takes_the_edit_back_too_and_gives_its_text(store: Store) -> None:
    fill(store, 1)
    (shown,) = lease(store)
    vote(store, shown, edit="A better one.")
    undone = undo(store)
    assert (undone.choice, undone.edit) == ("left", "A better one.")
    assert undo(store) == undone
    assert {row.vote.superseded_by for row in store.reports.votes()} == {"u"}
    assert store.edits.untokenised(9) == []
    assert lease(store, 9) == [undone.pair]
    assert undone.pair is not None
    vote(store, undone.pair, "w", edit="Another one.")
    assert [one.text for one in store.edits.untokenised(9)] == ["Another one."]


def test_nothing_learns_from_an_edit_of_a_pair_that_checks_raters(
    store: Store, database: Database
) -> None:
    fill(store, 1)
    (shown,) = lease(store)
    make_check(database)
    vote(store, shown, edit="A better one.")
    assert store.edits.untokenised(9) == []
    assert store.reports.status(max_staleness=2)["labels"]["fresh"] == 0
    (one,) = store.history.last(rater_id=1, limit=9, votes=VoteRules())
    assert one.edit == "A better one."


def test_the_history_tells_votes_by_side_newest_first_and_only_ones_own(store: Store) -> None:
    fill(store, 3)
    second_rater(store)
    first, second, third = lease(store, 3)
    vote(store, first, "one", strength=2, reasons=["clear"], comment="Yes.")
    vote(store, second, "two", choice="skip")
    give_back(store, third.lease_id, rater=1, now=1003.0)
    (theirs,) = lease(store, rater=2, holder="other")
    store.votes.record(Ballot("x", theirs.lease_id, "left"), rater_id=2, now=1004.0)
    found = store.history.last(rater_id=1, limit=9, votes=VoteRules())
    said = [(one.choice, one.strength, one.reasons, one.comment, one.trained) for one in found]
    assert sorted(said) == [("left", 2, ["clear"], "Yes.", None), ("skip", 1, [], None, None)]
    assert len(past(store, limit=1)) == 1


def test_a_check_counts_as_learned_from_as_an_ordinary_vote_would(
    store: Store, database: Database
) -> None:
    fill(store, 3)
    shown = lease(store, 3)
    make_check(database)
    for number, pair in enumerate(shown):
        vote(store, pair, f"v{number}", choice="left" if number < 2 else "tie")
    assert open_update(store, labels_per_update=1)
    promote(store, claim(store), 1)
    found = store.history.last(rater_id=1, limit=9, votes=VoteRules())
    assert {one.vote_id: one.trained for one in found} == {"v0": 1, "v1": 1, "v2": None}
    assert undo(store, "u0", vote_id="v0").trained == undo(store, "u1", vote_id="v1").trained == 1


def test_an_older_vote_is_taken_back_from_any_tab_on_the_same_sides(store: Store) -> None:
    fill(store, 2)
    first, second = lease(store, 2)
    vote(store, first, "one")
    vote(store, second, "two")
    undone = undo(store, vote_id="one", holder="another-tab")
    assert undone.pair is not None
    assert (undone.pair.left, undone.pair.right) == (first.left, first.right)
    assert past(store) == ["two"]
    assert lease(store, 1, holder="another-tab") == [undone.pair]


def test_a_vote_of_somebody_else_or_of_an_edit_is_not_taken_back(store: Store) -> None:
    fill(store, 2)
    second_rater(store)
    vote(store, lease(store)[0], edit="A better one.")
    (theirs,) = lease(store, rater=2, holder="other")
    store.votes.record(Ballot("x", theirs.lease_id, "left"), rater_id=2, now=1004.0)
    for vote_id in ("x", "v:edit", "none"):
        undone = undo(store, vote_id, vote_id=vote_id)
        assert (undone.pair, undone.choice) == (None, None)
        assert undone.reason is not None
        assert "was already undone" in undone.reason


def test_a_vote_whose_pair_others_hold_is_taken_back_with_a_word_on_it(
    store: Store, database: Database
) -> None:
    """The pair wanted two votes when this one was cast; since then it wants one, and is held."""
    fill(store, 1, votes_wanted=2)
    second_rater(store)
    vote(store, lease(store)[0], "mine")
    lease(store, rater=2, holder="other")
    change(database, Pair, 1, votes_wanted=1)
    undone = undo(store, vote_id="mine")
    assert undone.choice is not None
    assert undone.pair is None
    assert undone.reason is not None
    assert "does not come back" in undone.reason
    assert past(store) == []


def test_reasons_can_come_after_the_vote_once_and_while_it_stands(store: Store) -> None:
    fill(store, 2)
    first, second = lease(store, 2)
    vote(store, first, "one")
    vote(store, second, "two")
    said = {"reasons": ["clear"], "comment": "Short.", "rater_id": 1}
    assert store.votes.explain("one", **said).saved  # type: ignore[arg-type]
    assert store.votes.explain("one", **said).saved  # type: ignore[arg-type]
    other = store.votes.explain("one", reasons=["tone"], comment=None, rater_id=1)
    assert (other.saved, other.reason) == (False, "this vote already has its reasons")
    assert not store.votes.explain("two", reasons=["tone"], comment=None, rater_id=2).saved
    undo(store, vote_id="two")
    late = store.votes.explain("two", reasons=["tone"], comment=None, rater_id=1)
    assert (late.saved, late.reason) == (False, "this vote was undone")
    kept = {row.vote.id: (row.vote.reasons, row.vote.comment) for row in store.reports.votes()}
    assert kept == {"one": (["clear"], "Short."), "two": ([], None)}


def test_an_edit_that_was_set_aside_waits_no_more(store: Store) -> None:
    fill(store, 1)
    vote(store, lease(store)[0], edit="A better one.")
    (waiting,) = store.edits.untokenised(9)
    store.edits.set_aside(waiting.pair_id, reason="too long", now=1003.0)
    assert store.edits.untokenised(9) == []
    assert store.reports.votes()[-1].pair.aside_reason == "too long"
