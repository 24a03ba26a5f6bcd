"""The gate's decision on made-up evidence: each limit fires beyond it, and not before."""

import math
from dataclasses import replace

import pytest
import torch

from labeler.config.parts.gate import Gate
from labeler.domain.estimate import Estimate
from labeler.domain.response_stats import Style
from labeler.stats.coin import as_many_by_chance, at_least
from trainer.gate.gate import (
    Agreement,
    Evidence,
    broken,
    objections,
    unchanged,
)

LIMITS = Gate(
    gate_max_kl_live=0.3,
    gate_max_kl_reference=1.0,
    gate_max_length_change=2.0,
    gate_max_unfinished_rise=0.15,
    gate_max_repetition_rise=0.1,
    gate_max_agreement_drop=0.1,
)
USUAL = Style(tokens=60.0, unfinished=0.05, repetition=0.02)
GOOD = Evidence(live=USUAL, candidate=USUAL, counts=(128, 128), kl_live=0.05, kl_reference=0.2)


def test_a_good_candidate_passes() -> None:
    agreement = Agreement(live=0.6, candidate=0.7, lost=2, won=5, labels=30)
    won = Estimate(0.6, 0.45, 0.74, 32)
    assert objections(replace(GOOD, agreement=agreement, win_rate=won), LIMITS) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kl_live": 0.31}, "away from the live version"),
        ({"kl_live": math.nan}, "away from the live version"),
        ({"kl_reference": 1.1}, "away from the reference"),
        ({"candidate": replace(USUAL, tokens=121.0)}, "121 tokens on average instead of 60"),
        ({"candidate": replace(USUAL, tokens=29.0)}, "29 tokens on average instead of 60"),
        ({"candidate": replace(USUAL, unfinished=0.21)}, "21% of its responses do not end"),
        ({"candidate": replace(USUAL, repetition=0.13)}, "13% of its four-token sequences"),
        ({"win_rate": Estimate(0.2, 0.1, 0.4, 32)}, "prefers it in 20% of 32 pairs"),
        ({"equal_length": Estimate(0.2, 0.1, 0.4, 32)}, "at equal length the judge prefers it in"),
    ],
)
def test_each_limit_fires_just_beyond_it(change: dict[str, object], says: str) -> None:
    (sentence,) = objections(replace(GOOD, **change), LIMITS)  # type: ignore[arg-type]
    assert says in sentence


@pytest.mark.parametrize(("tokens", "leaning"), [(20.0, -0.8), (180.0, 0.8), (31.0, -1.0)])
def test_votes_that_prove_a_taste_for_length_let_it_change_further(
    tokens: float, leaning: float
) -> None:
    """2 ^ 1.8 is 3.5."""
    leans = replace(GOOD, candidate=replace(USUAL, tokens=tokens), length_leaning=leaning)
    assert objections(leans, LIMITS) == []


@pytest.mark.parametrize(("tokens", "leaning"), [(20.0, 0.8), (20.0, -0.4), (180.0, -0.8)])
def test_not_against_the_taste_nor_further_than_it_is_proven(tokens: float, leaning: float) -> None:
    far = replace(GOOD, candidate=replace(USUAL, tokens=tokens), length_leaning=leaning)
    (sentence,) = objections(far, LIMITS)
    assert ("more than the votes ask for" in sentence) == (tokens < 60 and leaning < 0)


@pytest.mark.parametrize(
    "change",
    [
        {"kl_live": 0.3, "kl_reference": 1.0},
        {"candidate": Style(tokens=120.0, unfinished=0.19, repetition=0.12)},
        {"win_rate": Estimate(0.4, 0.25, 0.57, 32)},
        {"win_rate": Estimate(0.0, 0.0, 0.4, 7)},
    ],
)
def test_no_limit_fires_at_it(change: dict[str, object]) -> None:
    assert objections(replace(GOOD, **change), LIMITS) == []  # type: ignore[arg-type]


def test_more_replies_that_do_not_end_count_when_they_are_more_than_chance() -> None:
    """Of 32, 24 against 16: P = 0.035 by Fisher's exact test; 22 against 16: 0.10."""
    live = replace(USUAL, unfinished=0.5)
    cut = [replace(USUAL, unfinished=share / 32) for share in (24, 22)]
    said = [
        objections(replace(GOOD, live=live, candidate=one, counts=(32, 32)), LIMITS) for one in cut
    ]
    assert said == [["75% of its responses do not end, instead of 50%"], []]
    assert as_many_by_chance(24, 32, 16, 32) == pytest.approx(0.035, abs=0.002)
    assert as_many_by_chance(22, 32, 16, 32) == pytest.approx(0.10, abs=0.01)


def test_more_repetition_counts_when_it_is_more_than_chance() -> None:
    loops = replace(GOOD, candidate=replace(USUAL, repetition=0.2))
    said = [
        objections(replace(loops, repeats_by_chance=by_chance), LIMITS)
        for by_chance in (0.049, 0.051)
    ]
    assert said == [["20% of its four-token sequences repeat earlier ones, instead of 2%"], []]


def test_a_fall_in_agreement_counts_when_it_is_large_and_more_than_chance() -> None:
    """Six lost and none won is 1/64 by chance; five of eight is 219/256 or so, and means nothing.

    P(at least 6 of 6) = 1/64 = 0.016. P(at least 5 of 8) = (56 + 28 + 8 + 1) / 256 = 0.363.
    """
    assert at_least(6, 6) == pytest.approx(1 / 64)
    assert at_least(5, 8) == pytest.approx(93 / 256)
    fell = Agreement(live=0.9, candidate=0.6, lost=6, won=0, labels=20)
    by_chance = Agreement(live=0.7, candidate=0.6, lost=5, won=3, labels=20)
    small = Agreement(live=0.9, candidate=0.82, lost=5, won=0, labels=64)
    few = Agreement(live=1.0, candidate=0.0, lost=7, won=0, labels=7)
    said = [objections(replace(GOOD, agreement=a), LIMITS) for a in (fell, by_chance, small, few)]
    assert [len(sentences) for sentences in said] == [1, 0, 0, 0]
    assert "agrees with 60% of 20 held-out votes" in said[0][0]


def test_moving_against_held_out_votes_more_often_than_chance_is_an_objection() -> None:
    """P(at least 11 of 13) = (78 + 13 + 1) / 8192 = 0.011, P(at least 10) = 378 / 8192 = 0.046.

    Three of three are 1/8: so few votes never decide.
    """
    assert at_least(11, 13) == pytest.approx(92 / 8192)
    usual = Agreement(live=0.9, candidate=0.9, lost=0, won=0, labels=77)
    said = [
        objections(
            replace(GOOD, agreement=replace(usual, against=against, held_out=held_out)), LIMITS
        )
        for against, held_out in ((11, 13), (10, 13), (3, 3), (6, 6))
    ]
    assert [len(sentences) for sentences in said] == [1, 0, 0, 1]
    assert "moved against 11 of 13 votes" in said[0][0]


def test_the_figures_of_both_styles_are_stored_and_those_that_are_unknown_left_out() -> None:
    candidate = replace(USUAL, distinct=0.512345, entropy=math.nan)
    finding = replace(GOOD, candidate=candidate).as_finding()
    assert (finding.live.tokens, finding.candidate.distinct) == (60.0, 0.5123)
    assert finding.live.entropy is None
    assert finding.candidate.entropy is None, "NaN is no JSON"


def test_broken_weights_are_named_without_any_sampling() -> None:
    good = {"w": torch.ones(2)}
    assert broken(good, [0.7, 0.6]) == []
    assert broken({"w": torch.tensor([1.0, math.nan])}, [0.7]) == ["a weight is infinite or NaN"]
    assert broken(good, [0.7, math.inf]) == ["the loss became infinite or NaN"]


def test_an_update_that_changed_nothing_is_noticed() -> None:
    live = {"w": torch.zeros(2)}
    assert unchanged({"w": torch.zeros(2)}, live)
    assert not unchanged({"w": torch.tensor([0.0, 1e-30])}, live)


def test_the_interval_of_a_win_rate_is_wilsons() -> None:
    """8 of 10: centre (0.8 + 0.192) / 1.384 = 0.717, half 1.96 * sqrt(0.0256) / 1.384 = 0.227."""
    found = Estimate.share(8.0, 10, "none")
    assert (found.low, found.high) == (
        pytest.approx(0.490, abs=2e-3),
        pytest.approx(0.943, abs=2e-3),
    )
    always = Estimate.share(10.0, 10, "none")
    assert always.high == pytest.approx(1.0)
    assert always.low is not None
    assert always.low < 0.75
