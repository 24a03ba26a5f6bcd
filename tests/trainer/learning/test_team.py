"""A team of ranks trains what one process would: the same gradients, steps and candidate."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from tests.support.team import in_a_team
from tests.trainer.conftest import disturb, equal, load
from trainer.learning.team import ALONE, Team
from trainer.learning.update import Step, train
from trainer.policy.logps import pair_logps
from trainer.policy.policy import CANDIDATE, LIVE, Policy

GIVEN = Training(learning_rate=1e-4, batch_pairs=4)
MEASURED = Training(passes=2, batch_pairs=3)
EPSILON = torch.finfo(torch.float32).eps


@pytest.fixture
def policies(tiny_policy: Path) -> list[Policy]:
    """One for each rank of up to three, all alike and away from the reference."""
    made = [load(tiny_policy, lora_alpha=4.0) for _ in range(3)]
    for policy in made:
        disturb(policy, LIVE, scale=0.2)
    return made


@pytest.fixture
def seen() -> Iterator[dict[int, Tensor]]:
    """The gradient (W,) of the last step of each optimiser, by its first weight."""
    found: dict[int, Tensor] = {}

    def look(optimizer: torch.optim.Optimizer, *_: object) -> None:
        weights = optimizer.param_groups[0]["params"]
        found[id(weights[0])] = torch.cat([weight.grad.flatten() for weight in weights])

    handle = register_optimizer_step_pre_hook(look)  # of all threads: it is not theirs to remove
    yield found
    handle.remove()


def gradients(
    policy: Policy, labels: Sequence[TrainingLabel], team: Team, seen: dict[int, Tensor]
) -> Tensor:
    """The gradient of the first step (W,), as the optimiser sees it: unclipped."""
    unclipped = GIVEN.model_copy(update={"max_grad_norm": 1e9})
    with closing(train(policy, labels, unclipped, seed=0, team=team)) as steps:
        next(steps)
    return seen[id(policy.parameters(CANDIDATE)[0])]


@pytest.mark.parametrize("training", [GIVEN, MEASURED.model_copy(update={"micro_tokens": 40})])
def test_in_step_all_make_as_many_passes_and_learn_the_same(
    policies: list[Policy],
    labels: list[TrainingLabel],
    training: Training,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps of fewer pairs than ranks are among them: one left over, or three of two parts.

    Sums in another order round otherwise. Measured, losses are 5e-6 of themselves apart after that,
    and weights 5e-7.
    """
    passes: dict[int, int] = defaultdict(int)

    def counted(policy: Policy, *args: Any, **kwargs: Any) -> Tensor:
        passes[policies.index(policy)] += 1
        return pair_logps(policy, *args, **kwargs)

    some = labels[: training.batch_pairs + 1]
    alone = list(train(policies[0], some, training, seed=1))
    learned = policies[0].adapter_state(CANDIDATE)
    monkeypatch.setattr("trainer.learning.batches.pair_logps", counted)

    def work(team: Team) -> list[Step]:
        in_step = replace(team, in_step=True)
        return list(train(policies[team.rank], some, training, seed=1, team=in_step))

    together = in_a_team(3, work)
    assert len(set(passes.values())) == 1
    for steps, policy in zip(together, policies, strict=True):
        assert [step.accuracy for step in steps] == [step.accuracy for step in alone]
        assert [step.loss for step in steps] == pytest.approx(
            [step.loss for step in alone], rel=1e-5
        )
        for name, weight in policy.adapter_state(CANDIDATE).items():
            assert torch.allclose(weight, learned[name], atol=1e-6), name


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_every_pair_is_one_ranks_and_all_have_about_as_many_tokens(size: int) -> None:
    sizes = [7, 1, 5, 5, 3, 2, 9, 4, 4]
    shares = [Team(rank, size).share(sizes) for rank in range(size)]
    assert sorted(itertools.chain(*shares)) == list(range(len(sizes)))
    loads = [sum(sizes[place] for place in share) for share in shares]
    # Whoever got the last one had least before, so nobody has more than that and the largest.
    assert max(loads) - min(loads) <= max(sizes)


def test_more_ranks_than_pairs_leave_some_with_nothing() -> None:
    assert [Team(rank, 3).share([4]) for rank in range(3)] == [[0], [], []]
    assert ALONE.share([4, 6]) == [0, 1]


@pytest.mark.parametrize("size", [2, 3])
def test_the_gradient_of_a_team_is_that_of_one_process_to_rounding(
    policies: list[Policy], labels: list[TrainingLabel], size: int, seen: dict[int, Tensor]
) -> None:
    """Four pairs, so that of three ranks one has two.

    A gradient is a sum over T tokens of products, each through some 20 layers' sums of up to 64
    terms. A float32 sum of n terms errs by at most n eps of the sum of their sizes (Higham 2002,
    eq. 4.4), and by about sqrt(n) eps where roundings are independent. Grouped otherwise, the sum
    over T = 120 tokens and the sums before it differ by about sqrt(20 * 64 + 120) eps < 40 eps of
    the largest gradient. Ten times that leaves room; a pair that is lost or counted twice changes
    it by a tenth or more.
    """
    alone = gradients(policies[0], labels, ALONE, seen)

    def rank(team: Team) -> Tensor:
        return gradients(policies[team.rank], labels, team, seen)

    together = in_a_team(size, rank)
    assert all(torch.equal(together[0], other) for other in together)
    assert (together[0] - alone).abs().max() <= 400 * EPSILON * alone.abs().max()


@pytest.mark.parametrize("reference", ["base", "previous"])
def test_measured_steps_of_a_team_are_those_of_one_process(
    policies: list[Policy], labels: list[TrainingLabel], reference: str
) -> None:
    """Two probes and three ranks, so that one measures nothing."""
    settings = MEASURED.model_copy(update={"reference": reference})
    probe = [label.tokens for label in labels[:2]]

    def rank(team: Team) -> list[Step]:
        policy = policies[team.rank]
        return list(train(policy, labels, settings, seed=3, probe=probe, team=team))

    first, *others = in_a_team(3, rank)
    assert all(other == first for other in others)
    states = [policy.adapter_state(CANDIDATE) for policy in policies]
    assert all(equal(states[0], state) for state in states)
    again = in_a_team(3, rank)
    assert again[0] == first
    assert equal(states[0], policies[2].adapter_state(CANDIDATE))
    alone = list(train(policies[0], labels, settings, seed=3, probe=probe))
    assert [step.total for step in first] == [step.total for step in alone]
    for ours, its in zip(first, alone, strict=True):
        assert ours.loss == pytest.approx(its.loss, rel=1e-3)
        assert ours.learning_rate == pytest.approx(its.learning_rate, rel=1e-2)


def test_a_team_notices_weights_that_are_not_the_same() -> None:
    def rank(team: Team) -> tuple[bool, bool]:
        weights = torch.tensor([1.0, float("nan")])
        return team.agrees([weights]), team.agrees([weights + 1e-6 * team.rank])

    assert in_a_team(2, rank) == [(True, False)] * 2
