"""The benchmark of layers, on a tiny policy."""

import random
import sys
from pathlib import Path

import pytest
import torch

from tests.benchmarks import targets
from tests.benchmarks.follow.tastes import TASTES


def test_a_vote_is_between_two_replies_to_one_prompt_and_the_others_tell_what_it_did() -> None:
    texts = ["word " * number for number in random.Random(0).sample(range(1, 99), 48)]
    side, unseen = targets.votes(TASTES["shorter"], texts, 5, random.Random(1))
    assert sorted(side[side != 0].tolist()) == [-1.0] * 5 + [1.0] * 5
    assert not (unseen & (side != 0)).any()
    assert int(unseen.sum()) == (12 - 5) * targets.COPIES
    right = 0
    for draw in range(40):
        side, _ = targets.votes(TASTES["shorter"], texts, 12, random.Random(draw))
        liked, other = side.view(-1, targets.COPIES).argmax(1), side.view(-1, 4).argmin(1)
        lengths = torch.tensor([len(text) for text in texts]).view(-1, targets.COPIES)
        right += int((lengths.gather(1, liked[:, None]) < lengths.gather(1, other[:, None])).sum())
    assert right / 480 == pytest.approx(1 - targets.FLIPS, abs=0.06)


def test_a_taste_is_a_correlation_within_prompts() -> None:
    trait = torch.tensor([1.0, 2.0, 3.0, 4.0, 9.0, 8.0, 7.0, 6.0])
    assert targets.correlation(trait, 2 * trait) == pytest.approx(1.0)
    between = torch.tensor([0.0] * 4 + [5.0] * 4)
    assert targets.correlation(trait, between) == 0.0
    assert targets.correlation(trait + between, trait) == pytest.approx(1.0)


def test_it_prints_a_row_for_each_number_of_votes_and_each_kind_of_layer(
    tiny_policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--prompts", "6", "--tokens", "8", "--votes", "2", "4", "--draws", "2", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["targets", "--policy", str(tiny_policy), *few])
    targets.main()
    head, _, *rows = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert [name in head for name in TASTES] == [True] * len(TASTES)
    assert [(votes, layers) for votes, layers, *_ in cells] == [
        (votes, layers)
        for votes in ("2", "4")
        for layers in ("all linear layers", "feed-forward layers", "attention")
    ]
    shown = [float(figure) for _, _, *figures in cells for figure in figures if figure != "-"]
    assert shown
    assert all(-1 <= figure <= 1 for figure in shown)
    assert cells[0][2:] != cells[1][2:] != cells[2][2:]
