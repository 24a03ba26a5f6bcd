"""The report on votes and raters, from a store in which it is known what was said."""

import random
from typing import Any

import pytest
from sqlmodel import col, select

from labeler.domain.rules import CheckRules
from labeler.domain.states import Purpose
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Gold, LeasedPair
from labeler.store.tables import Lease, Pair, Vote
from labeler.store.views.trust import Weights
from tests.support.store import change, lease, rows, undo, vote_on
from tests.support.tiny import add_pairs, fill

NOW = 200_000.0


@pytest.fixture
def raters(store: Store) -> list[int]:
    """Three raters, and twenty pairs for all of them."""
    fill(store, 20, prompts=60, votes_wanted=3)
    for name in ("Ann", "Bob", "Cem"):
        store.raters.invite(name, "rater", now=1.0)
    return [one.id for one in store.raters.all() if one.name in ("Ann", "Bob", "Cem")]


def rate(
    store: Store,
    rater: int,
    count: int,
    choose: Any,
    *,
    now: float = NOW - 60,
    seconds: float | None = 5.0,
    checks: CheckRules | None = None,
) -> list[LeasedPair]:
    """Votes of a rater; `choose(pair, number)` gives the choice by side."""
    pairs = lease(store, count, rater=rater, now=now, rng=random.Random(rater), checks=checks)
    assert len(pairs) == count
    for number, pair in enumerate(pairs):
        choice = choose(pair, number)
        vote_on(store, pair, choice, rater=rater, now=now + number / 100, seconds=seconds)
    return pairs


def good(pair: LeasedPair, _number: int = 0) -> str:
    return "left" if pair.left.startswith("good") else "right"


def bad(pair: LeasedPair, number: int = 0) -> str:
    return "right" if good(pair) == "left" else "left"


def report(store: Store, *, weighing: bool = False) -> dict[str, Any]:
    return store.trust.report(min_reading_seconds=1.0, weighing=weighing, now=NOW)


def figure(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [row for row in found["figures"] if row["id"] == name]
    return dict(one)


def of(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [row for row in found["raters"] if row["name"] == name]
    return dict(one)


def test_without_votes_every_figure_is_undefined_and_says_why(store: Store) -> None:
    found = report(store)
    assert found["raters"] == []
    assert [row["id"] for row in found["figures"]] == [
        "agreement", "alpha", "kappa", "ac1", "gold", "repeats", "left", "too_fast",
    ]  # fmt: skip
    for row in found["figures"]:
        assert (row["value"], row["low"], row["high"], row["count"]) == (None, None, None, 0)
        assert row["why"]


def test_agreement_is_that_of_people_on_ordinary_pairs(store: Store, raters: list[int]) -> None:
    """Ann and Bob agree on all but 4 of 20 pairs, half of which are good on each side."""
    ann, bob, _ = raters
    rate(store, ann, 20, lambda pair, n: good(pair) if n % 2 else bad(pair))
    rate(store, bob, 20, lambda pair, n: good(pair) if n % 2 or n < 8 else bad(pair))
    found = report(store)
    agreement = figure(found, "agreement")
    assert (agreement["value"], agreement["count"]) == (0.8, 20)
    assert agreement["low"] < 0.8 < agreement["high"]
    assert figure(found, "kappa")["name"] == "Cohen's kappa"
    # P = 0.8; Ann says a 10 of 20, Bob 14 of 20: P_e = 0.5 x 0.7 + 0.5 x 0.3 = 0.5
    assert figure(found, "kappa")["value"] == 0.6


def test_left_share_is_that_of_decided_votes_with_its_test(store: Store, raters: list[int]) -> None:
    rate(store, raters[0], 20, lambda _pair, n: "tie" if n < 10 else "left")
    left = figure(report(store), "left")
    assert (left["value"], left["count"]) == (1.0, 10)
    assert "p = 0.002" in left["note"]  # 2 / 2^10
    assert of(report(store), "Ann")["left_share"]["value"] == 1.0


def test_gold_counts_who_is_right_and_a_tie_is_not(store: Store, raters: list[int]) -> None:
    golds = [Gold([{"role": "user", "content": f"G{n}"}], f"good {n}", "poor") for n in range(8)]
    store.gold.add(golds, now=1.0, rng=random.Random(0))
    all_gold = CheckRules(gold_share=1.0)
    rate(store, raters[0], 8, good, checks=all_gold)
    rate(store, raters[1], 8, lambda pair, n: "tie" if n < 4 else good(pair), checks=all_gold)
    found = report(store)
    assert (figure(found, "gold")["value"], figure(found, "gold")["count"]) == (0.75, 16)
    assert of(found, "Ann")["gold"]["value"] == 1.0
    assert of(found, "Bob")["gold"]["value"] == 0.5
    assert figure(found, "agreement")["count"] == 0  # gold pairs are easier than others
    assert of(found, "Ann")["reliability"]["value"] == 0.9  # (8 + 1) / (8 + 2)
    number = store.gold.all()[0]["id"]
    store.gold.remove(number, now=NOW)
    assert figure(report(store), "gold")["count"] == 14


def test_repeats_count_the_same_answer_whatever_the_sides(
    store: Store, database: Database, raters: list[int]
) -> None:
    ann = raters[0]
    add_pairs(store, 40)
    rate(store, ann, 40, good, now=NOW - 900)
    again = rate(
        store,
        ann,
        10,
        lambda pair, n: good(pair) if n < 7 else bad(pair),
        checks=CheckRules(repeat_share=1.0),
    )
    leases = select(Lease.pair_id).where(col(Lease.id).in_([p.lease_id for p in again]))
    pairs = rows(database, Pair, col(Pair.id).in_(leases))
    assert {pair.purpose for pair in pairs} == {Purpose.REPEAT}
    repeats = figure(report(store), "repeats")
    assert (repeats["value"], repeats["count"]) == (0.7, 10)
    assert of(report(store), "Ann")["repeats"]["value"] == 0.7


def test_fast_votes_are_flagged_and_votes_without_a_time_are_not(
    store: Store, raters: list[int]
) -> None:
    ann, bob, cem = raters
    rate(store, cem, 2, good, seconds=3.0, now=NOW - 100_000)
    rate(store, ann, 5, good, seconds=4.0, now=NOW - 50)
    rate(store, ann, 5, good, seconds=0.4)
    rate(store, bob, 5, good, seconds=None)
    found = report(store)
    fast = figure(found, "too_fast")
    assert (fast["value"], fast["count"]) == (round(5 / 12, 4), 12)
    assert of(found, "Ann")["too_fast"] == 5
    assert of(found, "Ann")["median_seconds"] == 2.2
    assert (of(found, "Bob")["too_fast"], of(found, "Bob")["median_seconds"]) == (0, None)
    counts = [(row["name"], row["votes"], row["votes_last_day"]) for row in found["raters"]]
    assert counts == [("Ann", 10, 10), ("Bob", 5, 5), ("Cem", 2, 0)]


def test_what_was_undone_skipped_edited_or_set_aside_does_not_count(
    store: Store, database: Database, raters: list[int]
) -> None:
    ann = raters[0]
    rate(store, ann, 3, good)
    rate(store, ann, 2, lambda *_: "skip", now=NOW - 50)
    undo(store, rater=ann, now=NOW)
    undo(store, "w", rater=ann, now=NOW)
    assert figure(report(store), "left")["count"] == 3
    first, *_ = rows(database, Vote, col(Vote.superseded_by).is_(None))
    change(database, Pair, first.pair_id, aside_at=NOW)
    assert figure(report(store), "left")["count"] == 2


def test_reliability_and_weights_find_the_rater_who_guesses(
    store: Store, raters: list[int]
) -> None:
    rng = random.Random(4)
    store.prompts.add([[{"role": "user", "content": f"More {n}?"}] for n in range(60)], now=1.0)
    add_pairs(store, 60, votes_wanted=3)
    for rater, skill in zip(raters, (0.95, 0.85, 0.5), strict=True):
        for _ in range(2):  # as many at once as a rater may hold
            rate(
                store,
                rater,
                40,
                lambda pair, _n, s=skill: (good if rng.random() < s else bad)(pair),
            )
    found = report(store, weighing=True)
    ann, bob, cem = (of(found, name) for name in ("Ann", "Bob", "Cem"))
    assert ann["reliability"]["value"] > bob["reliability"]["value"] > 0.7
    assert cem["reliability"]["low"] < 0.5 < cem["reliability"]["high"]
    assert found["weighing"] is True
    assert cem["weight"] < 0.4 < 0.7 < bob["weight"] < ann["weight"] <= 2.0
    assert of(report(store), "Ann")["weight"] is None
    known = store.trust.weights()
    assert known.by_rater[raters[2]] == pytest.approx(cem["weight"], abs=1e-3)


def test_weights_are_worked_out_anew_only_after_some_more_votes(
    store: Store, raters: list[int]
) -> None:
    rate(store, raters[0], 10, good)
    first = store.trust.weights()
    assert first.votes == 10
    assert store.trust.weights(first) is first
    assert store.trust.weights(Weights(11, {7: 0.5})).votes == 10
    rate(store, raters[1], 1, good)
    assert store.trust.weights(first).votes == 11


def test_the_mark_changes_with_a_vote_an_undo_and_a_pair_set_aside(
    store: Store, database: Database, raters: list[int]
) -> None:
    ann = raters[0]
    marks = [store.trust.mark()]
    rate(store, ann, 1, good)
    marks.append(store.trust.mark())
    undo(store, rater=ann, now=NOW)
    marks.append(store.trust.mark())
    for pair_id in (1, 2):  # one back and another aside is a change too
        change(database, Pair, 1, aside_at=None)
        change(database, Pair, pair_id, aside_at=NOW + pair_id)
        marks.append(store.trust.mark())
    assert len(set(marks)) == len(marks)
