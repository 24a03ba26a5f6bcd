"""Agreement of raters: published examples, derivations by hand, and what is undefined."""

import random
from collections.abc import Sequence

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from labeler.domain.states import Choice
from labeler.stats.rater_agreement import (
    CATEGORIES,
    Agreement,
    Answer,
    agreement,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    percent_agreement,
)

A, B, TIE, BAD = CATEGORIES

# Krippendorff (2011), "Computing Krippendorff's alpha-reliability", C: four coders, twelve units.
KRIPPENDORFF_2011: Sequence[Sequence[int | None]] = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
# Fleiss (1971), table 1 as it is commonly abridged: ten subjects, fourteen raters.
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ],
    dtype=float,
)


def from_table(table: Sequence[Sequence[int]], categories: Sequence[Choice]) -> list[Answer]:
    """Two raters' answers, the first one's by row."""
    answers: list[Answer] = []
    for row, cells in zip(categories, table, strict=True):
        for column, count in zip(categories, cells, strict=True):
            for _ in range(count):
                pair = len(answers)
                answers += [Answer(pair, 1, row), Answer(pair, 2, column)]
    return answers


def crowd(rng: random.Random, pairs: int, right: float, votes: int = 2) -> list[Answer]:
    """Six raters who see what is so with probability `right`, and guess otherwise."""
    weights = (0.4, 0.4, 0.14, 0.06)
    answers = []
    for pair in range(pairs):
        (truth,) = rng.choices(CATEGORIES, weights)
        for rater in rng.sample(range(6), votes):
            (guess,) = rng.choices(CATEGORIES, weights)
            answers.append(Answer(pair, rater, truth if rng.random() < right else guess))
    return answers


def all_of(found: Agreement) -> list[float | None]:
    return [found.percent.value, found.alpha.value, found.kappa.value, found.ac1.value]


def test_krippendorffs_example_with_missing_answers_gives_the_published_figures() -> None:
    """alpha 0.743 (Krippendorff 2011); the others as Gwet's irrCAC gives them for these data."""
    answers = [
        Answer(unit, coder, value)  # type: ignore[arg-type]
        for coder, row in enumerate(KRIPPENDORFF_2011)
        for unit, value in enumerate(row)
        if value is not None
    ]
    found = agreement(answers, (1, 2, 3, 4, 5))
    assert found.kappa_name == "Fleiss' kappa"
    assert found.alpha.count == 11  # one unit has a single value
    expected = [0.81818, 0.74342, 0.76117, 0.77544]
    assert [round(value or 0, 5) for value in all_of(found)] == expected
    for figure in found[:4]:
        assert figure.low < figure.value < figure.high  # type: ignore[union-attr]


def test_fleiss_example_gives_the_published_kappa() -> None:
    once = np.ones(len(FLEISS))
    assert round(float(percent_agreement(FLEISS, once)), 3) == 0.378
    assert round(float(fleiss_kappa(FLEISS, once)), 3) == 0.210


def test_gwets_example_of_two_raters_gives_a_kappa_below_zero_and_an_ac1_of_94_percent() -> None:
    """Gwet (2008): 118, 5, 2, 0 of 125. P = 118/125 = 0.944.

    kappa: P_e = 0.984 x 0.96 + 0.016 x 0.04 = 0.94528, so -0.0234.
    AC1: pi = (0.984 + 0.96) / 2 = 0.972, P_e = 2 x 0.972 x 0.028 = 0.054432, so 0.9408.
    """
    found = agreement(from_table([[118, 5], [2, 0]], (A, B)), (A, B))
    assert found.kappa_name == "Cohen's kappa"
    assert round(found.percent.value or 0, 3) == 0.944
    assert round(found.kappa.value or 0, 4) == -0.0234
    assert round(found.ac1.value or 0, 4) == 0.9408


def test_kappa_of_cohens_kind_of_table_by_hand() -> None:
    """20, 5, 10, 15: P = 0.7, P_e = 0.5 x 0.6 + 0.5 x 0.4 = 0.5, so 0.4."""
    assert float(cohen_kappa(np.array([[20.0, 5.0], [10.0, 15.0]]))) == pytest.approx(0.4)


def test_cohens_kappa_of_votes_is_scikit_learns_of_the_two_lists_of_choices() -> None:
    answers = from_table([[12, 3, 1], [4, 9, 0], [2, 1, 5]], (A, B, TIE))
    first, second = ([a.choice for a in answers if a.rater_id == rater] for rater in (1, 2))
    assert agreement(answers).kappa.value == pytest.approx(cohen_kappa_score(first, second))


def test_ac1_of_random_answers_is_about_zero_and_of_equal_ones_is_one() -> None:
    two = np.array([[2.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]])
    assert float(gwet_ac1(two, np.ones(4))) == 1.0
    at_random = agreement(crowd(random.Random(0), 4000, right=0.0))
    assert all(abs(value or 0) < 0.06 for value in all_of(at_random)[1:3])


@pytest.mark.parametrize("votes", [2, 3])
def test_alpha_is_that_of_the_krippendorff_package_on_any_crowd(votes: int) -> None:
    """In its own data layout, rater by pair, not in ours."""
    answers = crowd(random.Random(votes), 80, right=0.6, votes=votes)
    values = np.full((6, 80), np.nan)
    for answer in answers:
        values[answer.rater_id, answer.pair_id] = CATEGORIES.index(answer.choice)
    theirs = krippendorff.alpha(reliability_data=values, level_of_measurement="nominal")
    found = agreement(answers).alpha
    assert found.value == pytest.approx(theirs)
    assert found.low is not None
    assert found.high is not None
    assert found.low < theirs < found.high


def test_a_tie_against_a_side_is_a_plain_disagreement() -> None:
    answers = from_table([[5, 0, 0], [0, 0, 5], [0, 0, 0]], (A, B, TIE))
    assert agreement(answers).percent.value == 0.5


def test_single_votes_move_no_figure_of_agreement_but_the_prevalence() -> None:
    shared = crowd(random.Random(1), 60, right=0.8)
    alone = [Answer(1000 + n, 1, A) for n in range(60)]
    with_them, without = agreement(shared + alone), agreement(shared)
    assert with_them.percent.value == without.percent.value
    assert with_them.alpha.value == without.alpha.value
    assert with_them.ac1.value != without.ac1.value


def test_what_is_undefined_says_why() -> None:
    alone = agreement([Answer(n, 1, A) for n in range(50)])
    assert alone.alpha.value is None
    assert "--votes-per-pair 2" in str(alone.alpha.why)
    few = agreement(from_table([[3, 1], [1, 2]], (A, B)))
    assert all(value is None for value in all_of(few))
    assert "only 7 of the 10 pairs" in str(few.ac1.why)
    same = agreement(from_table([[30]], (A,)))
    assert (same.percent.value, same.alpha.value, same.kappa.value) == (1.0, None, None)
    assert "all votes are the same" in str(same.alpha.why)
    assert same.ac1.value == 1.0


def test_raters_who_never_disagreed_so_far_still_get_an_interval_with_a_width() -> None:
    found = agreement(from_table([[15, 0], [0, 15]], (A, B)))
    for figure in found[:4]:
        assert figure.value == 1.0
        assert figure.low is not None
        assert 0.7 < figure.low < 0.97


def test_the_intervals_hold_the_truth_in_about_95_percent_of_crowds() -> None:
    """The truth is the figure of 20,000 pairs; of 100 draws, 88 or more hold it (P > 0.998)."""
    rng = random.Random(7)
    truth = all_of(agreement(crowd(rng, 20_000, right=0.7)))
    held = [0, 0, 0, 0]
    for _ in range(100):
        for place, figure in enumerate(agreement(crowd(rng, 60, right=0.7))[:4]):
            held[place] += figure.low <= truth[place] <= figure.high  # type: ignore[union-attr]
    assert min(held) >= 88
