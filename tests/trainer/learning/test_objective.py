"""Settings of the loss, and what it makes of the log-probabilities of a pair."""

import math

import pytest
import torch
from torch import Tensor

from labeler.config.parts.training import Training
from labeler.domain.losses import TIE_LOSSES, Loss
from trainer.learning.objective import Objective, PairLogps

NONE = torch.zeros(1)


def pair(
    policy: tuple[float, float] = (-6.0, -9.0),
    reference: tuple[float, float] = (-10.0, -11.0),
    tokens: tuple[float, float] = (2.0, 3.0),
) -> PairLogps:
    """One pair: log-ratios +4 and +2, so 2 and 2/3 a token; the policy's own means are -3, -3."""
    return PairLogps(*(torch.tensor([number]) for number in (*policy, *reference, *tokens)))


def swapped(logps: PairLogps) -> PairLogps:
    return PairLogps(
        policy_a=logps.policy_b,
        policy_b=logps.policy_a,
        reference_a=logps.reference_b,
        reference_b=logps.reference_a,
        tokens_a=logps.tokens_b,
        tokens_b=logps.tokens_a,
    )


def objective(loss: str, **settings: float) -> Objective:
    """With the smoothing that robust cannot do without."""
    needed = {"label_smoothing": 0.2} if loss == "robust" else {}
    return Objective(Training(loss=loss, **({"beta": 0.5} | needed | settings)))


def loss_of(made: Objective, logps: PairLogps, target: float = 1.0, tie: float = 0.0) -> Tensor:
    return made.losses(logps, torch.tensor([target]), torch.tensor([tie]))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("sigmoid", 2.0),
        ("robust", 2.0),
        ("hinge", 2.0),
        ("dpo_rk", 2.0),
        ("dpo_d", 2.0),
        ("sigmoid_norm", 4 / 3),
        ("ipo", 4 / 3),
    ],
)
def test_the_margin_of_a_loss_with_a_reference(loss: Loss, expected: float) -> None:
    """(-6 + 10) - (-9 + 11) = 2 nats; a token, 4 / 2 - 2 / 3 = 4 / 3."""
    assert objective(loss).margin(pair()).item() == pytest.approx(expected)


def test_the_margin_of_simpo_is_of_the_policys_own_means() -> None:
    """-6 / 2 + 12 / 3 = 1 nat per token, whatever the reference says, even nothing."""
    logps = pair(policy=(-6.0, -12.0), reference=(math.nan, math.nan))
    simpo = objective("simpo")
    assert simpo.margin(logps).item() == pytest.approx(1.0)
    assert loss_of(simpo, logps).isfinite()


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (objective("sigmoid", beta=0.5), 0.313262),
        (objective("sigmoid", beta=0.5, label_smoothing=0.1), 0.413262),
        (objective("sigmoid_norm", beta=0.75), 0.313262),
        (objective("sigmoid_norm", beta=0.75, label_smoothing=0.1), 0.413262),
        (objective("robust", beta=0.5, label_smoothing=0.25), -0.186738),
        (objective("hinge", beta=0.25), 0.5),
        (objective("ipo", beta=1.5), 1.0),
        (objective("simpo", beta=2.0, simpo_gamma=1.0), 1.313262),
        (objective("dpo_rk", beta=math.log(2) / 2), math.log(5 / 2)),
        (objective("dpo_d", beta=math.log(2)), math.log(9 / 4)),
        (objective("sigmoid", beta=0.5, length_alpha=1.0), math.log(2)),
    ],
    ids=lambda value: value.settings.loss if isinstance(value, Objective) else "",
)
def test_each_loss_gets_its_own_margin_and_settings(made: Objective, expected: float) -> None:
    """The pair has m = 2 nats, or 4/3 a token; a is preferred; log(1 + e^-1) = 0.313262.

    sigmoid z = 0.5 * 2 = 1; cDPO adds 0.1 z; sigmoid_norm z = 0.75 * 4/3 = 1; robust
    (0.75 * 0.313262 - 0.25 * 1.313262) / 0.5; hinge 1 - 0.25 * 2; ipo (4/3 - 1/3)^2; simpo
    m = -3 + 3 = 0, z = 0 - 1, log(1 + e) = 1.313262; dpo_rk z = log 2 and nu = 3: P(a) = 2/5;
    dpo_d z = log 4 and nu = 1: P(a) = 4/9; R-DPO z = 1 + 1 * (2 - 3) = 0.
    """
    assert loss_of(made, pair()).item() == pytest.approx(expected, abs=1e-6)


def test_responses_of_equal_reward_tie_with_the_tie_share() -> None:
    """m = 0: P(a) = (1 - 0.5) / 2 in both, so -log 0.25 for a win; -log 0.5 for a tie."""
    even = pair(policy=(-5.0, -5.0), reference=(-4.0, -4.0))
    for loss in TIE_LOSSES:
        made = objective(loss)
        assert loss_of(made, even).item() == pytest.approx(-math.log(0.25))
        assert loss_of(made, even, target=0.0, tie=1.0).item() == pytest.approx(-math.log(0.5))


@pytest.mark.parametrize("loss", ["sigmoid", "robust", "dpo_rk", "dpo_d"])
def test_the_length_margin_expects_the_longer_response_to_win(loss: Loss) -> None:
    """beta 0.5 and alpha 0.1: the margin gains 0.1 / 0.5 * (2 - 3) = -0.2 nats for a, the shorter.

    So a win of a still costs more than without, and the policy has to favour it by more.
    """
    plain, regular = objective(loss), objective(loss, length_alpha=0.1)
    assert regular.margin(pair()).item() == pytest.approx(2.0 - 0.2)
    assert loss_of(regular, pair()).item() > loss_of(plain, pair()).item()


@pytest.mark.parametrize("loss", Loss)
def test_swapping_the_sides_and_the_label_changes_nothing(loss: Loss) -> None:
    length = {"length_alpha": 0.1} if loss in ("sigmoid", "robust", "dpo_rk", "dpo_d") else {}
    made, tie = objective(loss, **length), 0.25 if loss in TIE_LOSSES else 0.0
    logps = pair(policy=(-6.0, -13.0))
    there = loss_of(made, logps, target=0.6, tie=tie)
    back = loss_of(made, swapped(logps), target=1 - 0.6 - tie, tie=tie)
    assert there.item() == pytest.approx(back.item())


@pytest.mark.parametrize("loss", Loss)
def test_learning_that_a_is_preferred_raises_a_and_lowers_b(loss: Loss) -> None:
    logps = pair()
    for side in (logps.policy_a, logps.policy_b):
        side.requires_grad_()
    loss_of(objective(loss, beta=0.1), logps).sum().backward()
    assert logps.policy_a.grad is not None
    assert logps.policy_b.grad is not None
    assert logps.policy_a.grad.item() < 0 < logps.policy_b.grad.item()


@pytest.mark.parametrize("loss", [loss for loss in Loss if loss not in TIE_LOSSES])
def test_a_tie_is_refused_where_the_loss_has_no_place_for_it(loss: Loss) -> None:
    with pytest.raises(ValueError, match=f"'{loss}' has no place for a tie; .* dpo_rk or dpo_d"):
        loss_of(objective(loss), pair(), target=0.4, tie=0.2)


def test_accuracy_follows_the_label_and_its_ties() -> None:
    """m = 2 ranks a first: right for a, wrong for b, and 0.5 for a label that is all tie."""
    made = objective("dpo_d")
    told = [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0)]
    found = [made.accuracy(pair(), torch.tensor([t]), torch.tensor([e])).item() for t, e in told]
    assert found == [1.0, 0.0, 0.5]


def test_a_margin_of_a_length_normalised_loss_is_undecided_at_a_hundredth_of_the_nats() -> None:
    """Log-ratio 0.01 over 20 tokens: 5e-4 nats a token, under the 1e-3 that a sum is rounded at."""
    logps = pair(policy=(-9.99, -11.0), tokens=(20.0, 20.0))
    assert objective("ipo").margin(logps).item() == pytest.approx(5e-4, rel=1e-3)
    assert objective("ipo").accuracy(logps, torch.ones(1), NONE).item() == 1.0
    equal = pair(policy=(-10.0, -11.0))
    assert objective("ipo").accuracy(equal, torch.ones(1), NONE).item() == 0.5
