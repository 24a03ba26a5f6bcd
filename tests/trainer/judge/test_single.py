"""Heads that go by one trait find a simple taste among slips, and leave others to the ridge."""

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trainer.judge.fitting import Learner, Material, fit
from trainer.judge.heads import IMPORTED_SHARES, Labels
from trainer.judge.single import OneTrait
from trainer.judge.traits import TRAITS

HIDDEN, TRAIT = 40, len(TRAITS)
SLIPS = 0.25
TAUGHT, TESTED = 48, 400


def differences(seed: int) -> Tensor:
    """Of pairs, in hidden states and traits, each of the same spread (N, D)."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(TAUGHT + TESTED, HIDDEN + TRAIT, generator=draws, dtype=torch.float64)


def material(
    found: Tensor,
    liked: Tensor,
    seed: int,
    *,
    ties: int = 0,
    imported: int = 0,
    slips: float = SLIPS,
) -> Material:
    """Votes for the side that is liked better (N,), some of them slips; ties where it is even."""
    rng = random.Random(seed)
    first = [float((by > 0) != (rng.random() < slips)) for by in liked[:TAUGHT].tolist()]
    tie = torch.zeros(TAUGHT, dtype=torch.float64)
    tie[liked[:TAUGHT].abs().argsort()[:ties]] = 1
    said = torch.tensor(first, dtype=torch.float64) * (1 - tie)
    own = torch.ones(TAUGHT, dtype=torch.float64)
    own[:imported] = 0
    labels = Labels(said, tie, torch.ones_like(tie), own)
    scale = torch.cat([torch.full((HIDDEN,), HIDDEN**-0.5), torch.full((TRAIT,), 2.0)]).double()
    names = [str(number) for number in range(TAUGHT)]
    return Material(found[:TAUGHT] * scale, scale, labels, names, range(TAUGHT))


def right(learners: list[Learner], found: Tensor, liked: Tensor) -> float:
    """How often they rank pairs that they have not heard of as they are liked."""
    fitted = fit(learners, 0)
    assert fitted is not None
    said = (found[TAUGHT:] @ fitted.heads.weights).mean(dim=1)
    return (said.sign() == liked[TAUGHT:].sign()).double().mean().item()


@pytest.mark.parametrize("ties", [0, 24])
def test_a_trait_is_found_among_slips_where_a_ridge_is_at_a_loss(ties: int) -> None:
    alone, with_it = [], []
    for seed in range(8):
        found = differences(seed)
        liked = found[:, HIDDEN + 3]
        ridge = material(found, liked, seed, ties=ties)
        alone.append(right([ridge], found, liked))
        with_it.append(right([ridge, OneTrait(ridge)], found, liked))
    assert sum(with_it) / 8 > sum(alone) / 8 + 0.1
    assert sum(with_it) / 8 > 0.75


def test_a_taste_that_is_no_trait_is_left_to_the_ridge() -> None:
    alone, with_it = [], []
    for seed in range(8):
        found = differences(seed)
        liked = found[:, :HIDDEN].sum(dim=1)
        ridge = material(found, liked, seed)
        alone.append(right([ridge], found, liked))
        with_it.append(right([ridge, OneTrait(ridge)], found, liked))
    assert sum(with_it) / 8 > sum(alone) / 8 - 0.05


def test_what_is_turned_round_is_told_the_other_way_round() -> None:
    found = differences(0)
    liked = found[:, HIDDEN + 3]
    one = OneTrait(material(found, liked, 0, ties=8))
    first, tie, *others = one.material.labels
    turned = OneTrait(
        replace(
            one.material,
            differences=-one.material.differences,
            labels=Labels(1 - first - tie, tie, *others),
        )
    )
    skill, again = one.skill(0), turned.skill(0)
    assert skill is not None
    assert again is not None
    assert again.loss == pytest.approx(skill.loss)
    assert torch.allclose(again.margins, -skill.margins)
    heads, mirrored = one.heads(skill, 0), turned.heads(again, 0)
    assert torch.allclose(heads.weights, mirrored.weights)
    assert torch.allclose(heads.eta, mirrored.eta)


def test_a_trait_that_no_pair_differs_in_weighs_nothing() -> None:
    found = differences(0)
    liked = found[:, HIDDEN + 3].clone()
    found[:, HIDDEN + 5] = 0
    one = OneTrait(material(found, liked, 0))
    skill = one.skill(0)
    assert skill is not None
    weights = one.heads(skill, 0).weights
    assert weights.isfinite().all()
    assert not weights[HIDDEN + 5].any()
    assert not weights[:HIDDEN].any()
    assert weights[HIDDEN + 3].abs().min() > 10 * weights[HIDDEN + 5].abs().max()


def test_imported_pairs_test_nothing_and_are_left_out_where_they_mislead() -> None:
    found = differences(0)
    liked = found[:, HIDDEN + 3].clone()
    liked[:24] = -liked[:24]
    one = OneTrait(material(found, liked, 0, imported=24, slips=0))
    skill = one.skill(0)
    assert skill is not None
    assert skill.imported == 0
    assert skill.right.count == TAUGHT - 24


def test_what_imported_pairs_weigh_is_chosen_for_each_fold_on_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are about as often right as wrong, so that it differs from fold to fold."""
    differs = 0
    for seed in range(8):
        found = differences(seed)
        one = OneTrait(material(found, found[:, HIDDEN + 3], seed, imported=24, slips=0.4))
        skills = []
        for shares in [(0.0,), (0.5,), IMPORTED_SHARES]:
            monkeypatch.setattr("trainer.judge.single.IMPORTED_SHARES", shares)
            skill = one.skill(0)
            assert skill is not None
            skills.append(skill)
        without, half, chosen = skills
        best = min(without, half, key=lambda skill: skill.loss)
        assert chosen.imported == best.imported
        assert torch.allclose(chosen.sized, best.margins)
        told = [torch.isclose(chosen.margins, each.margins) for each in (without, half)]
        assert (told[0] | told[1]).all()
        differs += not (told[0].all() or told[1].all())
    assert differs


def test_of_nothing_nothing_is_learned() -> None:
    found = differences(0)
    some = material(found, found[:, 0], 0)
    same = OneTrait(replace(some, differences=0 * some.differences))
    tied = OneTrait(material(found, found[:, 0], 0, ties=TAUGHT))
    assert same.skill(0) is None
    assert tied.skill(0) is None
