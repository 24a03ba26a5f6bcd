"""What the report on online against offline is worked out with: raters, intervals, comparisons."""

import math
import random
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.states import Choice
from tests.benchmarks.evidence import compare, plan, report, words
from tests.benchmarks.evidence.campaign import Campaign
from tests.benchmarks.evidence.intervals import over_seeds, over_seeds_and_prompts
from tests.benchmarks.evidence.measure import Look
from tests.benchmarks.evidence.plan import COMPARED, FULL, TRAINED, Run, Tuned
from tests.benchmarks.evidence.rater import Rater, agreement, calibrated, shares, tie_share
from tests.benchmarks.evidence.results import Results
from tests.benchmarks.evidence.world import Place

MARGINS = [random.Random(0).gauss(0, 2) for _ in range(300)]
LOOK = Look(64, [[1.0, 2.0]], [[3, 4]], 0.0, 0.5, 1.0, 1.0, 10.0)


def test_two_equal_responses_tie_in_one_of_five() -> None:
    """With eta = ln 1.5, sigmoid(-eta) = 1 / (1 + 1.5) = 0.4 for either side, and 0.2 is left."""
    assert shares(0.0) == pytest.approx((0.4, 0.4))
    assert tie_share([0.0], 3.0) == pytest.approx(0.2)


def test_a_calibrated_rater_who_is_asked_twice_says_the_same_in_three_of_four() -> None:
    rater, rng = calibrated(MARGINS), random.Random(1)
    same = decided = 0
    for margin in MARGINS * 60:
        first, second = (rater.vote(margin, rng).choice for _ in range(2))
        if Choice.TIE not in (first, second):
            decided += 1
            same += first == second
    assert same / decided == pytest.approx(0.75, abs=0.015)
    assert agreement(MARGINS, rater.slope) == pytest.approx(0.75, abs=1e-6)


def test_the_unit_of_the_score_does_not_matter() -> None:
    small = calibrated([margin / 1e6 for margin in MARGINS])
    assert small.slope == pytest.approx(1e6 * calibrated(MARGINS).slope, rel=1e-6)


def test_pairs_that_do_not_differ_make_no_rater() -> None:
    with pytest.raises(ValueError, match="differ in score"):
        calibrated([0.0] * 9 + [1.0])


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_noise_flips_that_share_of_a_sure_raters_votes(noise: float) -> None:
    rater, rng = Rater(1.0, noise=noise), random.Random(0)
    wrong = sum(rater.vote(0.1, rng).choice is Choice.B for _ in range(4000))
    assert wrong / 4000 == pytest.approx(noise, abs=0.025)
    assert rater.vote(0.0, rng).choice is Choice.TIE


def test_an_interval_over_seeds_is_students() -> None:
    """Of 1, 2, 3: variance 1, standard error 1 / sqrt(3), t(0.975, 2) = 4.3027: half 2.4841."""
    found = over_seeds([1.0, 2.0, 3.0])
    assert (found.low, found.value, found.high) == pytest.approx(
        (2 - 2.4841, 2, 2 + 2.4841), abs=1e-4
    )
    assert over_seeds([1.0]).high == math.inf


def test_an_interval_over_seeds_and_prompts_holds_in_nineteen_of_twenty_worlds() -> None:
    """Values are seed effect + prompt effect + rest, all drawn anew; their true mean is 0."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        seeds, prompts = rng.normal(size=(5, 1)), rng.normal(size=(1, 40))
        found = over_seeds_and_prompts(0.3 * seeds + 2 * prompts + rng.normal(size=(5, 40)))
        held += found.low <= 0 <= found.high
    assert held / 400 >= 0.93


def test_each_answer_is_compared_with_both_of_the_other_side() -> None:
    """Ours 2, 0 against 1, 1: two wins, two losses; 1, 1 against 1, 0: two wins, two ties."""
    ours = np.array([[[2.0, 0.0], [1.0, 1.0]]])
    theirs = np.array([[[1.0, 1.0], [1.0, 0.0]]])
    found = compare.record(ours, theirs)
    assert (found.win, found.tie, found.loss) == (0.5, 0.25, 0.25)
    assert found.points.value == 0.625


def test_the_labels_to_anothers_best_are_read_off_the_line_between_two_looks() -> None:
    """Theirs is best, 2, at 128. Ours is 1 at 64 and 3 at 128: 2 is half-way, at 64 sqrt(2)."""
    ours = {64: np.full((2, 1, 1), 1.0), 128: np.full((2, 1, 1), 3.0)}
    theirs = {64: np.full((2, 1, 1), 1.5), 128: np.full((2, 1, 1), 2.0)}
    assert compare.share_to_best(ours, theirs) == pytest.approx([math.sqrt(0.5)] * 3)
    assert compare.share_to_best(theirs, ours) == (None, None, None)
    more = theirs | {1024: np.full((2, 1, 1), 2.5)}
    assert compare.share_to_best(ours, more) == pytest.approx([64 * 2**0.75 / 1024] * 3)


def test_every_arm_is_searched_as_widely_and_on_a_seed_of_its_own() -> None:
    points = {arm: plan.grid(arm, 1e-3) for arm in TRAINED}
    assert {len(set(tried)) for tried in points.values()} == {4}
    searched = {run.seed for run in plan.search(points, [256, 512], 2)}
    tuned = dict.fromkeys(TRAINED, Tuned(1e-3, 0.1))
    assert searched.isdisjoint(run.seed for run in plan.curves(TRAINED, FULL, tuned))


def test_the_search_goes_on_with_the_half_that_is_best_over_all_seeds() -> None:
    """Two seeds each: means 3, 2, 2.5 and 1; of two of them, then, the better one."""
    said = {0.1: (1, 5), 0.2: (2, 2), 0.3: (3, 2), 0.4: (1, 1)}
    searched = {
        run: [replace(LOOK, scores=[[float(scores[run.seed - plan.SEARCH_SEED])]])]
        for beta, scores in said.items()
        for run in plan.search({"online": [Tuned(1e-3, beta)]}, [64], 2)
    }
    half = report.better_half(searched)
    assert half == [Tuned(1e-3, 0.1), Tuned(1e-3, 0.3)]
    kept = {run: looks for run, looks in searched.items() if run.beta in (0.1, 0.3)}
    assert report.better_half(kept) == [Tuned(1e-3, 0.1)]


def test_a_search_on_one_number_of_labels_has_one_rung() -> None:
    assert replace(FULL, labels=(8,)).rungs == [(8, 3)]
    assert replace(FULL, search_seeds=0).rungs == []


class Foreseen:
    """A pool whose runs end at once, with a score that is known from their beta."""

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def submit(self, _: object, *given: Any) -> Future[Any]:
        done: Future[Any] = Future()
        if len(given) == 1:
            done.set_result({"slope": 1.0, "agreement": 0.75, "ties": 0.12})
        else:
            run = given[0]
            self.runs.append(run)
            done.set_result([replace(LOOK, scores=[[run.beta]], labels=n) for n in run.labels])
        return done


def test_a_campaign_searches_half_as_many_points_on_more_seeds_and_compares_the_best(
    tmp_path: Path,
) -> None:
    scale = replace(FULL, seeds=2, labels=(8, 16, 32), search_seeds=2, ablation_seeds=0)
    pool = Foreseen()
    campaign = Campaign(Place(), scale, ["online", "iterative"], Results(tmp_path), pool, 2)  # type: ignore[arg-type]
    campaign.run()
    searched = [run for run in pool.runs if run.stage == "search"]
    assert [(run.arm, run.labels) for run in searched if run.learning_rate == 1e-3] == [
        *[("online", (16,))] * 2,
        *[("iterative", (8, 16))] * 2,
        *[("online", (32,)), ("iterative", (8, 16, 32))] * 2,
    ]
    assert [len({run.seed for run in searched if run.labels[-1] == n}) for n in (16, 32)] == [1, 2]
    assert len(searched) == 2 * (4 + 2 * 2)
    compared = {run.beta for run in pool.runs if run.stage == "curves" and run.arm != "start"}
    assert compared == {0.3}
    assert "not searched" not in (tmp_path / "README.md").read_text()


def test_a_report_keeps_what_a_person_wrote_into_it() -> None:
    written = f"{words.HAND_WRITTEN}\n\n- Online is ahead.\n\n### In short\n\nYes."
    for rest in ("", "\n\n## After 64 labels\n\n| a |"):
        assert words.hand_written(f"# Title\n\nText.\n\n{written}{rest}\n") == written
    assert words.hand_written("# Title\n\n## After 64 labels\n") == ""


def test_all_arms_have_the_same_votes_and_passes() -> None:
    dpo = [arm for arm in COMPARED if arm != "rloo"]
    runs = [plan.plain(arm, Tuned(1e-3, 0.1), FULL.labels, 0, "curves") for arm in dpo]
    assert len({(run.labels, run.passes, run.batch_pairs, run.noise) for run in runs}) == 1


def test_every_variant_changes_something_or_is_the_usual_one() -> None:
    found = list(plan.variants(FULL, Tuned(1e-3, 0.1), Settings()))
    changed = [one.run for one in found if one.run != one.usual]
    assert len(set(changed)) == len(changed)
    assert {one.group for one in found if one.run == one.usual} == {one.group for one in found}


def some_run() -> Run:
    return plan.plain("online", Tuned(1e-3, 0.1), (64,), 0, "curves")


def test_a_run_that_is_there_is_known_after_a_restart(tmp_path: Path) -> None:
    Results(tmp_path).add(some_run(), [LOOK])
    again = Results(tmp_path)
    assert again.looks(some_run()) == [LOOK]
    assert replace(some_run(), seed=1) not in again


def test_a_line_that_a_crash_cut_off_is_run_again_and_harms_no_other(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.add(some_run(), [LOOK])
    with (tmp_path / "runs.jsonl").open("a") as file:
        file.write('{"run": {"stage": "cur')
    other = replace(some_run(), seed=1)
    Results(tmp_path).add(other, [LOOK])
    assert {run.seed for run in Results(tmp_path).runs} == {0, 1}


def test_a_folder_takes_no_runs_of_another_policy(tmp_path: Path) -> None:
    results = Results(tmp_path)
    first = {"place": {"policy": "a"}, "rater": {"slope": 1.0}}
    assert results.shared({"place": {"policy": "a"}}) is None
    results.share(first)
    assert results.shared({"place": {"policy": "a"}}) == first
    with pytest.raises(BadInput, match="another 'place'"):
        results.shared({"place": {"policy": "b"}})
