"""Settings of the loss, and what it makes of the log-probabilities of a pair."""

import math

import pytest
import torch
from torch import Tensor

from trainer.learning.objective import LOSSES, LossName, Objective, PairLogps

NONE = torch.zeros(1)
TIE_LOSSES = ("dpo_rk", "dpo_d")


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


def objective(loss: LossName, **settings: float) -> Objective:
    """With the smoothing that robust cannot do without."""
    needed = {"label_smoothing": 0.2} if loss == "robust" else {}
    return Objective(loss, **({"beta": 0.5} | needed | settings))


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
def test_the_margin_of_a_loss_with_a_reference(loss: LossName, expected: float) -> None:
    """(-6 + 10) - (-9 + 11) = 2 nats; a token, 4 / 2 - 2 / 3 = 4 / 3."""
    assert objective(loss).margin(pair()).item() == pytest.approx(expected)


def test_the_margin_of_simpo_is_of_the_policys_own_means() -> None:
    """-6 / 2 + 12 / 3 = 1 nat per token, whatever the reference says, even nothing."""
    logps = pair(policy=(-6.0, -12.0), reference=(math.nan, math.nan))
    simpo = objective("simpo")
    assert simpo.margin(logps).item() == pytest.approx(1.0)
    assert loss_of(simpo, logps).isfinite()
    assert [reward.item() for reward in simpo.rewards(logps)] == pytest.approx([-1.5, -2.0])


def test_only_simpo_does_without_a_reference() -> None:
    assert [loss for loss in LOSSES if not objective(loss).uses_reference] == ["simpo"]


def test_only_rao_kupper_and_davidson_learn_ties() -> None:
    assert [loss for loss in LOSSES if objective(loss).learns_ties] == ["dpo_rk", "dpo_d"]


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "simpo"])
def test_implicit_rewards_are_beta_times_the_summed_log_ratios(loss: LossName) -> None:
    """0.5 * 4 = 2 and 0.5 * 2 = 1, also for the losses that divide by the length."""
    rewards = objective(loss).rewards(pair())
    assert [reward.item() for reward in rewards] == pytest.approx([2.0, 1.0])


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (Objective("sigmoid", beta=0.5), 0.313262),
        (Objective("sigmoid", beta=0.5, label_smoothing=0.1), 0.413262),
        (Objective("sigmoid_norm", beta=0.75), 0.313262),
        (Objective("sigmoid_norm", beta=0.75, label_smoothing=0.1), 0.413262),
        (Objective("robust", beta=0.5, label_smoothing=0.25), -0.186738),
        (Objective("hinge", beta=0.25), 0.5),
        (Objective("ipo", beta=1.5), 1.0),
        (Objective("simpo", beta=2.0, simpo_gamma=1.0), 1.313262),
        (Objective("dpo_rk", beta=math.log(2) / 2), math.log(5 / 2)),
        (Objective("dpo_d", beta=math.log(2)), math.log(9 / 4)),
        (Objective("sigmoid", beta=0.5, length_alpha=1.0), math.log(2)),
    ],
    ids=lambda value: value.loss if isinstance(value, Objective) else "",
)
def test_each_loss_gets_its_own_margin_and_settings(made: Objective, expected: float) -> None:
    """The pair has m = 2 nats, or 4/3 a token; a is preferred; log(1 + e^-1) = 0.313262.

    sigmoid z = 0.5 * 2 = 1; cDPO adds 0.1 z; sigmoid_norm z = 0.75 * 4/3 = 1; robust
    (0.75 * 0.313262 - 0.25 * 1.313262) / 0.5; hinge 1 - 0.25 * 2; ipo (4/3 - 1/3)^2; simpo
    m = -3 + 3 = 0, z = 0 - 1, log(1 + e) = 1.313262; dpo_rk z = log 2 and nu = 3: P(a) = 2/5;
    dpo_d z = log 4 and nu = 1: P(a) = 4/9; R-DPO z = 1 + 1 * (2 - 3) = 0.
    """
    assert loss_of(made, pair()).item() == pytest.approx(expected, abs=1e-6)


def test_the_tie_share_reaches_the_models() -> None:
    """m = 0: P(a) = (1 - share) / 2 in both. share 0.2: -log 0.4 for a win, -log 0.2 for a tie."""
    even = pair(policy=(-5.0, -5.0), reference=(-4.0, -4.0))
    for loss in TIE_LOSSES:
        made = objective(loss, tie_share=0.2)
        assert loss_of(made, even).item() == pytest.approx(-math.log(0.4))
        assert loss_of(made, even, target=0.0, tie=1.0).item() == pytest.approx(-math.log(0.2))


@pytest.mark.parametrize("loss", ["sigmoid", "robust", "dpo_rk", "dpo_d"])
def test_the_length_margin_expects_the_longer_response_to_win(loss: LossName) -> None:
    """beta 0.5 and alpha 0.1: the margin gains 0.1 / 0.5 * (2 - 3) = -0.2 nats for a, the shorter.

    So a win of a still costs more than without, and the policy has to favour it by more.
    """
    plain, regular = objective(loss), objective(loss, length_alpha=0.1)
    assert regular.margin(pair()).item() == pytest.approx(2.0 - 0.2)
    assert loss_of(regular, pair()).item() > loss_of(plain, pair()).item()


@pytest.mark.parametrize("loss", LOSSES)
def test_swapping_the_sides_and_the_label_changes_nothing(loss: LossName) -> None:
    length = {"length_alpha": 0.1} if loss in ("sigmoid", "robust", "dpo_rk", "dpo_d") else {}
    made, tie = objective(loss, **length), 0.25 if loss in TIE_LOSSES else 0.0
    logps = pair(policy=(-6.0, -13.0))
    there = loss_of(made, logps, target=0.6, tie=tie)
    back = loss_of(made, swapped(logps), target=1 - 0.6 - tie, tie=tie)
    assert there.item() == pytest.approx(back.item())


@pytest.mark.parametrize("loss", LOSSES)
def test_learning_that_a_is_preferred_raises_a_and_lowers_b(loss: LossName) -> None:
    logps = pair()
    for side in (logps.policy_a, logps.policy_b):
        side.requires_grad_()
    loss_of(objective(loss, beta=0.1), logps).sum().backward()
    assert logps.policy_a.grad is not None
    assert logps.policy_b.grad is not None
    assert logps.policy_a.grad.item() < 0 < logps.policy_b.grad.item()


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss not in TIE_LOSSES])
def test_a_tie_is_refused_where_the_loss_has_no_place_for_it(loss: LossName) -> None:
    with pytest.raises(ValueError, match=f"'{loss}' has no place for a tie; .* dpo_rk or dpo_d"):
        loss_of(objective(loss), pair(), target=0.4, tie=0.2)


@pytest.mark.parametrize(
    ("loss", "settings", "message"),
    [
        ("dpo", {}, "no loss 'dpo'; take one of sigmoid, "),
        ("sigmoid", {"beta": 0.0}, "beta is 0.0; it must be above 0"),
        ("sigmoid", {"beta": math.nan}, "beta is nan"),
        ("sigmoid", {"label_smoothing": 0.5}, "label_smoothing is 0.5; .* below 0.5"),
        ("sigmoid", {"label_smoothing": -0.1}, "label_smoothing is -0.1"),
        ("robust", {"label_smoothing": 0.0}, "'robust' with label_smoothing 0 is sigmoid"),
        ("robust", {"label_smoothing": 0.5}, "label_smoothing is 0.5; .* below 0.5"),
        ("hinge", {"label_smoothing": 0.1}, "'hinge' has no place for it; set it to 0"),
        ("ipo", {"label_smoothing": 0.1}, "'ipo' has no place"),
        ("simpo", {"label_smoothing": 0.1}, "'simpo' has no place"),
        ("dpo_rk", {"label_smoothing": 0.1}, "'dpo_rk' has no place"),
        ("dpo_d", {"label_smoothing": 0.1}, "'dpo_d' has no place"),
        ("ipo", {"length_alpha": 0.1}, "length_alpha is 0.1, and the loss 'ipo' has no place"),
        ("hinge", {"length_alpha": 0.1}, "'hinge' has no place"),
        ("simpo", {"length_alpha": 0.1}, "'simpo' has no place"),
        ("sigmoid_norm", {"length_alpha": 0.1}, "'sigmoid_norm' has no place"),
        ("sigmoid", {"length_alpha": -0.1}, "length_alpha is -0.1; it must be at least 0"),
        ("simpo", {"simpo_gamma": -1.0}, "simpo_gamma is -1.0; it must be at least 0"),
        ("dpo_d", {"tie_share": 0.0}, "tie_share is 0.0; it must be from 0.01 to 0.99"),
        ("dpo_rk", {"tie_share": 1.0}, "tie_share is 1.0"),
    ],
)
def test_wrong_settings_are_one_sentence(
    loss: LossName, settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        objective(loss, **settings)
    assert "\n" not in str(caught.value)


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
