"""People who change their minds: the reward model that fills pairs in follows within 64 votes."""

import random
from pathlib import Path

import pytest

from labeler.domain.judging import Example
from labeler.domain.labels import Preference
from tests.trainer.conftest import load
from tests.trainer.judge.test_filling import asking
from tests.trainer.judge.test_learned import sentence
from trainer.judge.features import Features
from trainer.judge.filling import FillModel
from trainer.judge.turning import turned

TURN = 200
WRONG = 0.2  # of the votes say the opposite


@pytest.fixture(scope="module")
def features(tiny_policy: Path) -> Features:
    return Features(load(tiny_policy))


def votes(count: int, rng: random.Random, *, turn: int) -> list[Example]:
    """Of a rater who wants a question mark at the end, and after `turn` votes none."""
    found = []
    while len(found) < count:
        one = asking(len(found), rng)
        if not one.said.tie:
            opposite = (rng.random() < WRONG) != (len(found) >= turn)
            target = 1 - one.said.target if opposite else one.said.target
            found.append(one._replace(said=Preference(target)))
    return found


def asks_best(model: FillModel, rng: random.Random) -> float:
    """How often the best of two replies is the one that asks."""
    asked = [{"role": "user", "content": "tea?"}]
    pairs = [(asked, [sentence(rng, 5) + end for end in ("?", ".")]) for _ in range(20)]
    chosen = [choice for [choice] in model.choose(pairs)]
    return sum(choice.best == 0 for choice in chosen) / len(chosen)


def test_a_rater_who_changes_their_mind_after_200_votes_is_followed_within_64(
    features: Features,
) -> None:
    rng = random.Random(0)
    said = votes(TURN + 64, rng, turn=TURN)
    model = FillModel(features, seed=0)
    model.learn(said[:TURN])
    assert asks_best(model, rng) == 1
    assert "changed their minds" not in model.says
    for count in range(TURN + 16, TURN + 65, 16):
        model.learn(said[:count])
    assert model.says.startswith("People have changed their minds, so it goes by the newest ")
    assert model.weight > 0.5
    assert asks_best(model, rng) == 0


def test_after_a_restart_a_change_of_mind_is_found_again(features: Features) -> None:
    """120 votes for a question mark and 160 against: all at once cancel, and prove nothing."""
    rng = random.Random(0)
    model = FillModel(features, seed=0)
    model.learn(votes(280, rng, turn=120))
    assert model.says.startswith("People have changed their minds, so it goes by the newest ")
    assert model.weight > 0.5
    assert asks_best(model, rng) == 0


def test_a_rater_who_does_not_is_not_taken_for_one(features: Features) -> None:
    said = votes(TURN + 64, random.Random(1), turn=1000)
    model = FillModel(features, seed=0)
    for count in range(TURN, TURN + 65, 32):
        model.learn(said[:count])
    assert "changed their minds" not in model.says


def test_a_model_that_comes_down_to_a_coin_forgets_nothing() -> None:
    """What it was right on before is not overruled by pairs that it cannot tell apart. 41 of 64
    wrong, or more, is what a coin does in 1.6 %: too often for one of many looks.
    """
    before = [1.0] * 150 + [0.0] * 50
    assert turned(before + [1.0, 0.0] * 32) is None
    assert turned(before + [float(place * 23 % 64 < 23) for place in range(64)]) is None
    assert turned(before + [0.0] * 48 + [1.0] * 16) is not None
    assert turned([1.0, 0.0] * 100 + [0.0] * 64) is None


def seen(right: float, votes: int, *, runs: int) -> float:
    """How often a model that was right on 75 % of 100 votes, and is on `right` of so many after
    them, is said to have turned, in a look each eight votes.
    """
    rng = random.Random(0)
    found = 0
    for _ in range(runs):
        rights = [float(rng.random() < 0.75) for _ in range(100)]
        rights += [float(rng.random() < right) for _ in range(votes)]
        found += any(turned(rights[:now]) for now in range(100, len(rights) + 1, 8))
    return found / runs


def test_many_looks_at_a_coin_see_no_turn_and_those_at_a_turn_do() -> None:
    """Of 1,500 runs 2.6 % saw one in a coin, and 97 % where it was right on one vote in five. So
    four of 40 or more see one in 2 % of all cases, and 30 or less in one of 10^7 (binomial).
    """
    assert seen(0.5, 256, runs=40) < 0.1
    assert seen(0.2, 64, runs=40) > 0.75
