"""The benchmark of simple tastes, on a tiny policy."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from labeler.domain.estimate import Estimate
from tests.benchmarks.follow import report
from tests.benchmarks.follow.__main__ import main
from tests.benchmarks.follow.rating import Look
from tests.benchmarks.follow.tastes import TASTES
from tests.support.tiny import EASY


@pytest.mark.parametrize(
    ("taste", "liked", "disliked"),
    [
        ("shorter", "Tea.", "Tea, then water."),
        ("no-lists", "Boil water. Add tea.", "1. Boil water.\n2) Add tea."),
        ("no-lists", "Made in 1990. Good - and hot.", "How:\n- Boil water."),
        ("warm", "I hope you enjoy your tea!", "Tea is a drink made from leaves."),
        ("question", "Tea? Is it green?\n", "Tea? It is green."),
        ("question", "Tea? It is green.", "Tea is green."),
        ("plain", "Put the tea in hot water.", "Immerse the tea in boiling water."),
    ],
)
def test_a_rater_with_a_taste_likes_what_shows_it(taste: str, liked: str, disliked: str) -> None:
    likes = TASTES[taste].likes
    assert likes(liked) > likes(disliked)


@pytest.mark.parametrize("text", ["", "?!", "1. ", "🙂"])
def test_every_taste_takes_any_text(text: str) -> None:
    for taste in TASTES.values():
        assert taste.likes(text) == taste.likes(text)
        assert taste.trait(text) >= 0


def looks(*traits: list[float]) -> list[Look]:
    return [Look(64, 50, 4, 0, values, 10.0, 0.1, 0.0, 0.0) for values in traits]


def test_a_share_moves_by_points_and_a_mean_by_its_part() -> None:
    question, shorter = TASTES["question"], TASTES["shorter"]
    half, all_ = (looks([x, 1.0], [x, 1.0]) for x in (0.0, 1.0))
    assert report.moved(question, half, all_).value == pytest.approx(0.5)
    long, short = (looks([x, x], [x + 2, x + 2]) for x in (39.0, 29.0))
    assert report.moved(shorter, long, short).value == pytest.approx(0.25)
    assert math.isnan(report.moved(shorter, looks([0.0, 0.0]), looks([1.0, 1.0])).value or 0.0)


def test_of_one_seed_the_interval_is_over_its_prompts() -> None:
    """Ten words fewer on average, +- 12.7 x 2 / sqrt(2): Student's t of one degree of freedom."""
    way = report.moved(TASTES["shorter"], looks([40.0, 40.0]), looks([28.0, 32.0]))
    assert way.low == pytest.approx((10 - 12.706 * 2) / 40, abs=1e-3)


def test_a_goal_is_met_only_with_replies_that_are_as_good_as_before() -> None:
    before = looks([40.0])
    [short] = looks([20.0])
    clearly, by_chance = Estimate(0.5, 0.4, 0.6, 1), Estimate(0.5, -0.1, 1.1, 1)

    def goal(way: Estimate, **worse: float) -> str:
        return report._goal(0.25, way, before, [replace(short, **worse)])

    assert goal(clearly) == "25%: met"
    assert goal(clearly, repetition=0.05, kl=1.5) == "25%: missed (KL, repetition)"
    assert goal(clearly, unfinished=0.1) == "25%: missed (cut)"
    assert goal(by_chance) == "25%: not shown"
    assert goal(Estimate(math.nan, math.nan, math.nan, 1)) == "25%: missed (trait)"


def test_the_command_runs_what_is_missing_and_reports(
    tiny_policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    settings = EASY | {"labels_per_update": 4, "max_new_tokens": 8, "lora_rank": 4, "device": "cpu"}
    asked = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    command = ["follow", "--policy", str(tiny_policy), "--out", str(out), "--jobs", "1"]
    command += ["--votes", "0,16", "--prompts", "3", "--tastes", "shorter", *asked]
    lines: list[str] = []
    for seeds in (1, 2):
        monkeypatch.setattr(sys, "argv", [*command, "--seeds", str(seeds)])
        main()
        before, lines = lines, (out / "runs.jsonl").read_text().splitlines()
        assert lines[: len(before)] == before
        assert len(lines) == seeds
    first = json.loads(lines[0])
    assert [look["votes"] for look in first["looks"]] == [0, 16]
    assert first["looks"][0]["version"] == 0
    assert first["looks"][0]["kl"] == pytest.approx(0, abs=1e-4)
    assert first["looks"][1]["version"] > 0
    assert first["looks"][1]["labels"] >= 4
    assert len(first["looks"][1]["traits"]) == 3
    text = (out / "README.md").read_text()
    assert "## Shorter: before, and after 16 votes" in text
    assert "| Shorter | 16 |" in text
    assert (out / "follow.png").stat().st_size > 10_000
    monkeypatch.setattr(sys, "argv", [*command, "--flips", "0.1"])
    with pytest.raises(SystemExit, match="2"):
        main()
