"""How good a judge is: figures of few pairs by hand, and how often the intervals hold.

The tests of the intervals draw from what is known, with a fixed seed, and count how often the 95 %
interval holds it; of 150 draws, fewer than 90 % would be a chance of one in 300.
"""

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from sklearn.metrics import cohen_kappa_score

from labeler.domain.estimate import Estimate
from labeler.domain.labels import Opinion, Preference, VoteRules, combine
from labeler.domain.states import Choice
from labeler.stats.judge_quality import (
    Double,
    difference,
    kappa,
    kappa_figure,
    measure,
    paused_by_agreement,
)
from tests.labeler.domain.test_sentences import REPORT

A, B, TIE = Preference(1.0), Preference(0.0), Preference(0.0, tie=1.0)
ROUNDS = 150


def double(human: Preference, judge: float, longer: str = "a") -> Double:
    lengths = {"a": (9, 4), "b": (4, 9), "same": (5, 5)}[longer]
    return Double(human, judge, *lengths)


def test_ties_count_in_one_agreement_and_not_in_the_other() -> None:
    """Both decided: aa, ab, bb, of which two agree. Of all five, tie-tie agrees as well: 3/5."""
    pairs = [double(A, 0.9), double(A, 0.2), double(B, 0.1), double(TIE, 0.5), double(TIE, 0.8)]
    found = measure(pairs)
    assert (found.agreement.value, found.agreement.count) == (pytest.approx(2 / 3), 3)
    assert (found.agreement_with_ties.value, found.agreement_with_ties.count) == (0.6, 5)


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ([Choice.A], Choice.A),
        ([Choice.A, Choice.A, Choice.B], Choice.A),
        ([Choice.A, Choice.B], Choice.TIE),
        ([Choice.BOTH_BAD], Choice.TIE),
        ([Choice.B, Choice.TIE], Choice.TIE),
        ([Choice.B, Choice.B, Choice.A, Choice.TIE], Choice.B),
    ],
)
def test_people_say_what_most_of_their_votes_say(choices: list[Choice], says: Choice) -> None:
    human = combine([Opinion(choice) for choice in choices], VoteRules(ties="learn"))
    assert human is not None
    assert double(human, 0.5).people_say is says


def test_kappa_of_a_textbook_table() -> None:
    """Two readers of 50 grants, 20 5 / 10 15: 0.7 observed, 0.5 by chance, kappa 0.4."""
    assert kappa([[20, 5], [10, 15]]) == pytest.approx(0.4)


def test_kappa_of_three_categories_that_was_published() -> None:
    """Fleiss, Cohen and Everitt (1969), table 1: proportions of 200 subjects, kappa 0.429.

    Rows .53 .05 .02 / .11 .14 .05 / .01 .06 .03. Observed .70; by chance .60 * .65 + .30 * .25 +
    .10 * .10 = .475; (.70 - .475) / .525 = 0.4286.
    """
    table = [[106, 10, 4], [22, 28, 10], [2, 12, 6]]
    assert kappa(table) == pytest.approx(0.4286, abs=5e-5)
    sides = [A, B, TIE]
    said = [0.9, 0.1, 0.5]
    pairs = [
        double(sides[row], said[column])
        for row in range(3)
        for column in range(3)
        for _ in range(table[row][column])
    ]
    found = measure(pairs).kappa
    assert found.value == pytest.approx(0.4286, abs=5e-5)
    assert (found.low, found.high) == (pytest.approx(0.32, abs=0.03), pytest.approx(0.54, abs=0.03))


def test_kappa_of_any_table_is_scikit_learns() -> None:
    rng = random.Random(0)
    cells = [(row, column) for row in range(3) for column in range(3)]
    for _ in range(20):
        table = [[rng.randrange(1, 30) for _ in range(3)] for _ in range(3)]
        theirs = cohen_kappa_score(
            [row for row, _ in cells],
            [column for _, column in cells],
            sample_weight=[table[row][column] for row, column in cells],
        )
        assert kappa(table) == pytest.approx(theirs)


def test_brier_and_calibration_of_four_pairs_by_hand() -> None:
    """0.9 right, 0.9 right, 0.1 wrong (so 0.9 sure of b, and wrong), 0.5 on a tie.

    Squares: 0.01, 0.01, 0.81, 0 -> 0.83 / 4. The judge decided three, all 0.9 sure, 2/3 right.
    """
    found = measure([double(A, 0.9), double(A, 0.9), double(A, 0.1), double(TIE, 0.5)])
    assert found.brier.value == pytest.approx(0.2075)
    assert found.calibration_error.value == pytest.approx(0.9 - 2 / 3)
    (part,) = found.bins
    assert (part.confidence, part.right) == (pytest.approx(0.9), pytest.approx(2 / 3))
    assert part.count == found.calibration_error.count == 3


def test_the_calibration_error_weighs_its_bins_by_their_pairs() -> None:
    """Three at 0.6, one of them right: 4/15 off. One at 1.0, and right. So 3/4 of 4/15."""
    pairs = [double(A, 0.6), double(A, 0.4), double(B, 0.6), double(B, 0.0)]
    found = measure(pairs)
    assert [part.count for part in found.bins] == [3, 1]
    assert found.calibration_error.value == pytest.approx(0.2)


def test_what_is_stored_as_a_changes_no_figure_but_the_drawn_ends() -> None:
    pairs = _simulated(random.Random(5), 60, right=lambda sure: sure)
    turned = [
        Double(
            Preference(1 - pair.human.target - pair.human.tie, pair.human.tie),
            1 - pair.judge,
            pair.length_b,
            pair.length_a,
        )
        for pair in pairs
    ]
    for name in _names():
        one, other = (getattr(measure(some), name) for some in (pairs, turned))
        assert one.value == pytest.approx(other.value), name


def test_the_length_bias_stands_beside_peoples_on_the_same_pairs() -> None:
    """Judge: longer, longer, longer, shorter. People: longer, shorter, shorter, shorter.

    The tie and the pair of one length do not count: 3/4, 1/4, and 1/2 between them. Agresti and
    Min: 2 pairs one way, none the other, so (2.5 - 0.5) / 6 = 1/3, half
    1.96 * sqrt(3 - 4 / 6) / 6 = 0.499.
    """
    pairs = [
        double(A, 0.9, "a"),
        double(A, 0.1, "b"),
        double(B, 0.7, "a"),
        double(A, 0.8, "b"),
        double(TIE, 0.9, "a"),
        double(A, 0.9, "same"),
    ]
    found = measure(pairs)
    assert (found.longer_judge.value, found.longer_people.value) == (0.75, 0.25)
    assert found.longer_difference.value == 0.5
    assert found.longer_difference.low == pytest.approx(1 / 3 - 0.499, abs=1e-3)
    assert found.longer_difference.high == pytest.approx(1 / 3 + 0.499, abs=1e-3)
    assert found.longer_difference.count == 4


def test_a_figure_that_is_not_defined_says_why() -> None:
    none = measure([])
    assert all(getattr(none, name).value is None for name in _names())
    assert all(getattr(none, name).why for name in _names())
    only_ties = measure([double(TIE, 0.9), double(A, 0.5)])
    assert only_ties.agreement.value is None
    assert only_ties.agreement_with_ties.value == 0.0
    one_answer = measure([double(A, 0.9)] * 9)
    assert one_answer.kappa == Estimate(
        None, None, None, 9, "people and the judge gave one and the same answer on every pair"
    )
    assert "differ in length" in str(measure([double(A, 0.9, "same")]).longer_judge.why)


def test_a_report_is_json() -> None:
    measured = measure(_simulated(random.Random(1), 30, right=lambda sure: sure))
    figures = replace(REPORT, figures=measured).to_json()
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert set(figures["kappa"]) == {"value", "low", "high", "count", "why"}
    assert figures["bins"][0]["count"] > 0


@pytest.mark.parametrize("judge", [1.01, -0.1, math.nan])
def test_a_probability_that_is_none_is_refused(judge: float) -> None:
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        double(A, judge)


def test_too_low_an_agreement_pauses_the_judge_from_twenty_decided_pairs_on() -> None:
    """11 of 20 are the floor of 0.55 and do not pause, 10 of 20 do, 0 of 19 are too few to say."""
    right, wrong, tie = double(A, 0.9), double(A, 0.1), double(TIE, 0.9)
    assert paused_by_agreement(measure([right] * 11 + [wrong] * 9), 0.55) is None
    assert paused_by_agreement(measure([wrong] * 19 + [tie] * 9), 0.55) is None
    assert paused_by_agreement(measure([]), 0.55) is None
    said = paused_by_agreement(measure([right] * 10 + [wrong] * 10), 0.55)
    assert said is not None
    assert (
        "agrees with people on 50 % [30, 70] of the 20 pairs that both decided, less than" in said
    )


@pytest.mark.parametrize("pairs", [20, 60])
@pytest.mark.parametrize("accuracy", [0.6, 0.95])
def test_kappas_interval_holds_the_truth(pairs: int, accuracy: float) -> None:
    """People say a, b, tie with 0.45, 0.45, 0.1; the judge errs to either other one evenly."""
    people = [0.45, 0.45, 0.1]
    error = (1 - accuracy) / 2
    cells = [[p * (accuracy if i == j else error) for j in range(3)] for i, p in enumerate(people)]
    truth = kappa(cells)
    assert truth is not None
    rng = random.Random(1)

    def draw() -> Estimate:
        drawn = rng.choices(range(9), [cell for row in cells for cell in row], k=pairs)
        counts = [drawn.count(cell) for cell in range(9)]
        return kappa_figure([counts[:3], counts[3:6], counts[6:]], rng)

    assert _holds(truth, [draw() for _ in range(ROUNDS)]) >= 0.9


@pytest.mark.parametrize(("pairs", "overconfident"), [(20, 0.0), (60, 0.0), (40, 0.2)])
def test_the_intervals_of_brier_and_calibration_hold_the_truth(
    pairs: int, overconfident: float
) -> None:
    """The judge is sure by s, even between 0.7 and 1, and right with s - o.

    It is never underconfident, so the error is o. Brier, given s: (1 - s)^2 (s - o) +
    s^2 (1 - s + o) = s - s^2 + o (2 s - 1), whose mean over s is 0.12 + 0.7 o, for E s = 0.85 and
    E s^2 = (1 - 0.343) / 0.9 = 0.73.
    """
    rng = random.Random(2)
    found = [
        measure(_simulated(rng, pairs, right=lambda sure: sure - overconfident), seed=seed)
        for seed in range(ROUNDS)
    ]
    assert _holds(overconfident, [one.calibration_error for one in found]) >= 0.9
    assert _holds(0.12 + 0.7 * overconfident, [one.brier for one in found]) >= 0.9


@pytest.mark.parametrize("pairs", [20, 60])
def test_the_interval_of_the_length_difference_holds_the_truth(pairs: int) -> None:
    """The judge takes the longer one with 0.8; people follow it in half, else take it with 0.5.

    People's share is 0.4 + 0.25 = 0.65, so the difference is 0.15.
    """
    rng = random.Random(1)

    def draw() -> Estimate:
        judge = [rng.random() < 0.8 for _ in range(pairs)]
        people = [one if rng.random() < 0.5 else rng.random() < 0.5 for one in judge]
        return difference(judge, people)

    assert _holds(0.15, [draw() for _ in range(1000)]) >= 0.93


def _simulated(rng: random.Random, count: int, right: Callable[[float], float]) -> list[Double]:
    """Decided pairs of a judge that is 0.7 to 1 sure; `right` says how often it is right then."""
    pairs = []
    for _ in range(count):
        sure, side = 0.7 + 0.3 * rng.random(), rng.choice([True, False])
        people = side if rng.random() < right(sure) else not side
        longer = rng.choice(["a", "b"])
        pairs.append(double(A if people else B, sure if side else 1 - sure, longer))
    return pairs


def _holds(truth: float, figures: list[Estimate]) -> float:
    return sum(
        figure.low <= truth <= figure.high
        for figure in figures
        if figure.low is not None and figure.high is not None
    ) / len(figures)


def _names() -> list[str]:
    return [name for name in vars(measure([])) if name not in ("pairs", "bins")]
