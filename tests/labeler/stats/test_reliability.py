"""Reliability of raters on simulated crowds, beside a fit of our own; and what it weighs."""

import random
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from labeler.domain.estimate import Estimate
from labeler.domain.labels import Opinion, VoteRules, combine
from labeler.domain.states import Choice
from labeler.stats.rater_agreement import Answer
from labeler.stats.reliability import HEAVIEST, Reliability, reliabilities, weights

SIDES = (Choice.A, Choice.B)


def crowd(
    seed: int, skills: Sequence[float], pairs: int, votes: int, gold: int = 0
) -> tuple[list[Answer], dict[int, Choice], dict[int, Choice]]:
    """Answers of raters with these skills, the truth of gold pairs, and that of all."""
    rng = random.Random(seed)
    answers, known, truth = [], {}, {}
    for pair in range(pairs + gold):
        right = rng.choice(SIDES)
        truth[pair] = right
        if pair >= pairs:
            known[pair] = right
        for rater in range(len(skills)) if pair in known else rng.sample(range(len(skills)), votes):
            wrong = SIDES[right is Choice.A]
            answers.append(Answer(pair, rater, right if rng.random() < skills[rater] else wrong))
    return answers, known, truth


def own_fit(answers: Sequence[Answer], known: dict[int, Choice], raters: int) -> list[float]:
    """One-coin Dawid and Skene by EM in plain numpy, to compare with."""
    pairs = 1 + max(answer.pair_id for answer in answers)
    said = np.zeros((raters, pairs))
    for answer in answers:
        said[answer.rater_id, answer.pair_id] = 1 if answer.choice is Choice.A else -1
    fixed = np.full(pairs, np.nan)
    for pair, right in known.items():
        fixed[pair] = right is Choice.A
    a = np.where(np.isnan(fixed), 0.5 + said.sum(0) / (2 * np.abs(said).sum(0)), fixed)
    for _ in range(5000):
        right = ((said == 1) * a + (said == -1) * (1 - a)).sum(1)
        skill = (right + 1) / (np.abs(said).sum(1) + 2)
        odds = (np.log(skill / (1 - skill))[:, None] * said).sum(0)
        a = np.where(np.isnan(fixed), 1 / (1 + np.exp(-odds)), fixed)
    return [float(one) for one in skill]


@pytest.mark.parametrize(("votes", "gold"), [(3, 0), (2, 15)])
def test_crowd_kit_finds_the_skills_that_our_own_fit_finds(votes: int, gold: int) -> None:
    skills = (0.95, 0.9, 0.8, 0.7, 0.5)
    answers, known, _ = crowd(3, skills, 300, votes, gold)
    found = reliabilities(answers, known)
    ours = own_fit(answers, known, len(skills))
    for rater, skill in enumerate(skills):
        figure = found[rater].accuracy
        assert figure.value == pytest.approx(ours[rater], abs=0.02)
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low - 0.05 < skill < figure.high + 0.05


def test_it_does_not_matter_which_response_is_stored_as_a() -> None:
    answers, known, _ = crowd(1, (0.9, 0.8, 0.6), 120, 3, 5)
    swap = {Choice.A: Choice.B, Choice.B: Choice.A}
    turned = [answer._replace(choice=swap[answer.choice]) for answer in answers]
    there = reliabilities(answers, known)
    back = reliabilities(turned, {pair: swap[right] for pair, right in known.items()})
    for rater, one in there.items():
        assert back[rater].accuracy.value == pytest.approx(one.accuracy.value, abs=1e-9)


def test_gold_alone_gives_the_share_of_right_answers_after_one_right_and_one_wrong() -> None:
    """18 of 20 right: (18 + 1) / (20 + 2)."""
    known = dict.fromkeys(range(20), Choice.A)
    answers = [Answer(pair, 7, Choice.A if pair < 18 else Choice.B) for pair in known]
    figure = reliabilities(answers, known)[7].accuracy
    assert figure.value == pytest.approx(19 / 22)
    assert figure.count == 20


def test_what_is_undefined_says_why_and_weighs_as_usual() -> None:
    alone = [Answer(pair, 1, Choice.A) for pair in range(30)]
    two = crowd(0, (0.9, 0.6), 100, 2)[0]
    ties = [Answer(pair, 5, Choice.TIE) for pair in range(30)]
    for answers, words in ((alone, "--votes-per-pair 2"), (two, "three raters"), (ties, "none")):
        found = reliabilities(answers, {})
        for one in found.values():
            assert one.accuracy.value is None
            assert words in str(one.accuracy.why)
        assert set(weights(found).values()) == {1.0}
    assert reliabilities([], {}) == {}


def rated(accuracy: float | None, evidence: float = 1000.0) -> Reliability:
    return Reliability(Estimate(accuracy, accuracy, accuracy, int(evidence)), evidence)


def test_weights_are_log_odds_beside_the_median_clipped_at_both_ends() -> None:
    """log(0.9/0.1) / log(0.8/0.2) = 1.585; the random rater counts for next to nothing."""
    found = {
        1: rated(0.8), 2: rated(0.9), 3: rated(0.7), 4: rated(0.5), 5: rated(0.2),
        6: rated(0.9999), 7: rated(None), 8: rated(0.8),
    }  # fmt: skip
    heavy = weights(found)
    assert heavy[1] == heavy[8] == pytest.approx(1.0)
    assert heavy[2] == pytest.approx(1.585, abs=0.01)
    assert heavy[4] < 0.01
    assert heavy[5] == 0.0
    assert heavy[6] == HEAVIEST
    assert heavy[7] == 1.0


def test_little_evidence_moves_a_weight_little() -> None:
    found = {1: rated(0.8), 2: rated(0.8), 3: rated(0.5, evidence=4), 4: rated(0.5)}
    heavy = weights(found)
    assert heavy[4] < 0.01 < 0.3 < heavy[3] < 1.0


def test_if_everybody_guesses_all_weigh_alike() -> None:
    assert set(weights({1: rated(0.5), 2: rated(0.45), 3: rated(0.3)}).values()) == {1.0}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_weighed_targets_are_nearer_to_the_truth_with_a_rater_who_guesses(seed: int) -> None:
    """Mean squared distance of the target from 1 where a is better, from 0 where b is."""
    answers, known, truth = crowd(seed, (0.9, 0.85, 0.8, 0.5, 0.3), 300, 3, 10)
    heavy = weights(reliabilities(answers, known))

    def distance(weigh: dict[int, float]) -> float:
        errors = []
        for pair in range(300):
            opinions = [
                Opinion(answer.choice, reliability=weigh.get(answer.rater_id, 1.0))
                for answer in answers
                if answer.pair_id == pair
            ]
            label = combine(opinions, VoteRules())
            target = label.target if label else 0.5
            errors.append((target - (truth[pair] is Choice.A)) ** 2)
        return sum(errors) / len(errors)

    assert distance(heavy) < 0.75 * distance({})


def test_the_import_waits_for_work_and_brings_no_torch() -> None:
    code = (
        "import sys, labeler.stats.reliability as r; "
        "from labeler.stats.rater_agreement import Answer; "
        "from labeler.domain.states import Choice; before = 'crowdkit' in sys.modules; "
        "r.reliabilities([Answer(1, n, Choice.A) for n in range(3)], {}); "
        "print(before, 'crowdkit' in sys.modules, 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True", "False"]
