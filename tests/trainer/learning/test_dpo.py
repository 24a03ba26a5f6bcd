"""The losses against values derived by hand. Margins are in nats."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainer.learning.dpo import (
    LogProbabilities,
    cdpo_loss,
    davidson,
    davidson_nu,
    hinge_loss,
    ipo_loss,
    length_margin,
    outcome_loss,
    per_token,
    preference_accuracy,
    rao_kupper,
    rao_kupper_nu,
    reward_margin,
    robust_loss,
    sigmoid_loss,
    simpo_loss,
)
from trainer.policy.token_logps import token_logps

Loss = Callable[[Tensor, Tensor], Tensor]
Model = Callable[[Tensor], LogProbabilities]

LN2, LN3 = math.log(2), math.log(3)
MARGIN_LOSSES: dict[str, Loss] = {
    "sigmoid": lambda margin, target: sigmoid_loss(margin, target, beta=0.3),
    "cdpo": lambda margin, target: cdpo_loss(margin, target, beta=0.3, epsilon=0.1),
    "robust": lambda margin, target: robust_loss(margin, target, beta=0.3, epsilon=0.1),
    "ipo": lambda margin, target: ipo_loss(margin, target, beta=0.3),
    "hinge": lambda margin, target: hinge_loss(margin, target, beta=0.3),
    "simpo": lambda margin, target: simpo_loss(margin, target, beta=0.3, gamma=0.5),
}
OUTCOMES: dict[str, Model] = {
    "rao_kupper": lambda margin: rao_kupper(margin, beta=0.3, nu=2.0),
    "davidson": lambda margin: davidson(margin, beta=0.3, nu=0.7),
}
every_margin_loss = pytest.mark.parametrize("loss", MARGIN_LOSSES.values(), ids=MARGIN_LOSSES)
every_outcome_model = pytest.mark.parametrize("model", OUTCOMES.values(), ids=OUTCOMES)


def margins() -> Tensor:
    """Margins of every size, away from the hinge's corners at +-1 / 0.3."""
    return torch.tensor([-30.0, -3.0, -0.5, 0.0, 0.5, 3.0, 30.0])


def slope(losses: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """d loss / d margin of each pair (B,)."""
    margin = at.clone().requires_grad_()
    losses(margin).sum().backward()
    assert margin.grad is not None
    return margin.grad


def test_the_loss_is_log_two_where_the_policy_equals_its_reference() -> None:
    """Margin 0 gives -log sigmoid(0) = log 2, whatever the label and beta."""
    margin = reward_margin(torch.tensor([2.0, 2.0]), torch.tensor([2.0, 2.0]))
    losses = sigmoid_loss(margin, torch.tensor([1.0, 0.0]), beta=0.3)
    assert losses.tolist() == pytest.approx([math.log(2)] * 2)


def test_the_sigmoid_loss_of_a_known_margin() -> None:
    """logps -3 and -5, reference -4 and -4: m = (-3 + 4) - (-5 + 4) = 2; beta 0.5 gives z = 1.

    a preferred: log(1 + e^-1) = 0.313262; b preferred: log(1 + e) = 1.313262;
    a preferred with 3/4: 0.75 * 0.313262 + 0.25 * 1.313262 = 0.563262.
    """
    margin = reward_margin(torch.tensor([-3.0 + 4.0]), torch.tensor([-5.0 + 4.0]))
    losses = sigmoid_loss(margin.expand(3), torch.tensor([1.0, 0.0, 0.75]), beta=0.5)
    assert losses.tolist() == pytest.approx([0.313262, 1.313262, 0.563262], abs=1e-6)


def test_the_sigmoid_gradient_pushes_by_beta_times_the_share_that_is_wrong() -> None:
    """d loss / d margin = -beta * sigmoid(-beta m): with m = 0 and beta = 0.4, -0.2."""
    found = slope(lambda margin: sigmoid_loss(margin, torch.ones(1), beta=0.4), torch.zeros(1))
    assert found.item() == pytest.approx(-0.2)


def test_the_cdpo_loss_of_a_known_margin() -> None:
    """z = 0.5 * 2 = 1 and epsilon = 0.1: with a preferred, 0.9 * 0.313262 + 0.1 * 1.313262.

    That is 0.413262. With b preferred: 0.1 * 0.313262 + 0.9 * 1.313262 = 1.213262.
    """
    losses = cdpo_loss(torch.full((2,), 2.0), torch.tensor([1.0, 0.0]), beta=0.5, epsilon=0.1)
    assert losses.tolist() == pytest.approx([0.413262, 1.213262], abs=1e-6)


def test_cdpo_stops_pushing_where_the_policy_is_as_sure_as_the_labels() -> None:
    """d loss / dz = sigmoid(z) - (1 - epsilon) = 0 at z = log(0.9 / 0.1) = log 9."""
    at = torch.tensor([math.log(9)])
    found = slope(lambda margin: cdpo_loss(margin, torch.ones(1), beta=1.0, epsilon=0.1), at)
    assert found.item() == pytest.approx(0.0, abs=1e-6)


def test_the_robust_loss_of_a_known_margin() -> None:
    """z = 1, epsilon = 0.25: (0.75 * 0.313262 - 0.25 * 1.313262) / 0.5 = -0.186738.

    With b preferred: (0.75 * 1.313262 - 0.25 * 0.313262) / 0.5 = 1.813262.
    """
    losses = robust_loss(torch.full((2,), 2.0), torch.tensor([1.0, 0.0]), beta=0.5, epsilon=0.25)
    assert losses.tolist() == pytest.approx([-0.186738, 1.813262], abs=1e-6)


def test_the_robust_loss_of_flipped_labels_is_on_average_the_dpo_loss_of_the_true_ones() -> None:
    """Labels that keep the truth t = 1 with 0.8 and flip with 0.2: 0.8 R(1) + 0.2 R(0) = L(1)."""
    kept = robust_loss(margins(), torch.ones(7), beta=0.3, epsilon=0.2)
    flipped = robust_loss(margins(), torch.zeros(7), beta=0.3, epsilon=0.2)
    true = sigmoid_loss(margins(), torch.ones(7), beta=0.3)
    assert torch.allclose(0.8 * kept + 0.2 * flipped, true, atol=1e-5)


def test_the_ipo_loss_of_a_known_margin() -> None:
    """Log-ratios -6 over 3 tokens and -8 over 2: m = -2 + 4 = 2 nats per token.

    beta 0.25 makes the goal 1 / 0.5 = 2: a preferred (2 - 2)^2 = 0; b preferred (2 + 2)^2 = 16;
    even odds 0.5 * 0 + 0.5 * 16 = 8.
    """
    a = per_token(torch.tensor([-6.0]), torch.tensor([3.0]))
    b = per_token(torch.tensor([-8.0]), torch.tensor([2.0]))
    losses = ipo_loss((a - b).expand(3), torch.tensor([1.0, 0.0, 0.5]), beta=0.25)
    assert losses.tolist() == pytest.approx([0.0, 16.0, 8.0])


def test_ipo_draws_the_margin_to_the_goal_times_how_sure_the_label_is() -> None:
    """d/dm of t (m - c)^2 + (1 - t)(m + c)^2 = 2 m - 2 (2 t - 1) c: zero at (2 t - 1) c.

    t = 0.75 and beta = 0.25, so c = 2, give m = 1.
    """
    target = torch.full((1,), 0.75)
    found = slope(lambda margin: ipo_loss(margin, target, beta=0.25), torch.ones(1))
    assert found.item() == pytest.approx(0.0)


def test_the_hinge_loss_of_known_margins() -> None:
    """beta 0.5: m = 1 is z = 0.5 and m = 4 is z = 2.

    a preferred: 1 - 0.5 = 0.5, and max(0, 1 - 2) = 0; b preferred: 1 + 0.5 = 1.5, and 1 + 2 = 3;
    a preferred with 3/4 at z = 0.5: 0.75 * 0.5 + 0.25 * 1.5 = 0.75.
    """
    margin = torch.tensor([1.0, 4.0, 1.0, 4.0, 1.0])
    losses = hinge_loss(margin, torch.tensor([1.0, 1.0, 0.0, 0.0, 0.75]), beta=0.5)
    assert losses.tolist() == pytest.approx([0.5, 0.0, 1.5, 3.0, 0.75])


def test_the_simpo_loss_of_a_known_margin() -> None:
    """logps -2 over 2 tokens and -6 over 3: m = -1 + 2 = 1; beta 2 and gamma 1.

    a preferred: z = 2 - 1 = 1, log(1 + e^-1) = 0.313262. b preferred: z = -2 - 1 = -3,
    log(1 + e^3) = 3.048587.
    """
    a = per_token(torch.tensor([-2.0]), torch.tensor([2.0]))
    b = per_token(torch.tensor([-6.0]), torch.tensor([3.0]))
    losses = simpo_loss((a - b).expand(2), torch.tensor([1.0, 0.0]), beta=2.0, gamma=1.0)
    assert losses.tolist() == pytest.approx([0.313262, 3.048587], abs=1e-6)


def test_a_response_without_tokens_has_the_mean_zero() -> None:
    means = per_token(torch.tensor([0.0, -4.0, -6.0]), torch.tensor([0.0, 1.0, 3.0]))
    assert means.tolist() == [0.0, -4.0, -2.0]


def test_the_length_margin_lets_a_short_winner_learn_more_than_a_long_one() -> None:
    """alpha 0.1 with 10 and 4 tokens: 0.1 * (10 - 4) = 0.6 to the logit of "a preferred".

    At m = 0 the push on the winner's margin is -beta sigmoid(-logit). If the longer a won, the
    logit is 0.6: sigmoid(-0.6) = 0.354344. If the shorter b won, its logit is -0.6:
    sigmoid(0.6) = 0.645656. So a policy that sees each win as often moves towards the shorter.
    """
    extra = length_margin(torch.tensor([10.0]), torch.tensor([4.0]), alpha=0.1)
    assert extra.item() == pytest.approx(0.6)

    def push(target: float) -> float:
        label = torch.tensor([target])
        at = torch.zeros(1)
        return slope(lambda margin: sigmoid_loss(margin + extra, label, beta=1.0), at).item()

    assert push(1.0) == pytest.approx(-0.354344, abs=1e-6)
    assert push(0.0) == pytest.approx(0.645656, abs=1e-6)
    assert push(1.0) + push(0.0) > 0, "descent lowers the margin of the longer response"


def test_rao_kupper_probabilities_of_a_known_margin() -> None:
    """z = log 2 (rewards as 2 to 1) and nu = 3: P(a) = 2 / (2 + 3) = 2/5, P(b) = 1 / (1 + 6) = 1/7.

    P(tie) = (9 - 1) * 2/5 * 1/7 = 16/35; together 14/35 + 16/35 + 5/35 = 1.
    """
    outcomes = rao_kupper(torch.tensor([2 * LN2]), beta=0.5, nu=3.0)
    assert [log.exp().item() for log in outcomes] == pytest.approx([2 / 5, 16 / 35, 1 / 7])


def test_davidson_probabilities_of_a_known_margin() -> None:
    """z = log 4 (rewards as 4 to 1) and nu = 1: weights 2, 2 nu = 2 and 1/2; their sum is 9/2.

    P(a) = 4/9, P(tie) = 4/9, P(b) = 1/9.
    """
    outcomes = davidson(torch.tensor([4 * LN2]), beta=0.5, nu=1.0)
    assert [log.exp().item() for log in outcomes] == pytest.approx([4 / 9, 4 / 9, 1 / 9])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_nu_gives_responses_of_equal_reward_the_tie_share_that_was_asked_for(share: float) -> None:
    even = torch.zeros(1)
    for outcomes in (
        rao_kupper(even, beta=0.3, nu=rao_kupper_nu(share)),
        davidson(even, beta=0.3, nu=davidson_nu(share)),
    ):
        assert outcomes[1].exp().item() == pytest.approx(share)


def test_a_tie_share_of_one_half_is_the_default_of_the_paper() -> None:
    """Chen et al. 2024 take nu = 3 for Rao-Kupper and nu = 1 for Davidson."""
    assert (rao_kupper_nu(0.5), davidson_nu(0.5)) == (3.0, 1.0)


@every_outcome_model
def test_the_probabilities_of_win_tie_and_loss_sum_to_one(model: Model) -> None:
    total = sum(log.exp() for log in model(margins()))
    assert torch.allclose(total, torch.ones(7))


def test_the_tie_losses_of_a_known_margin() -> None:
    """The probabilities above: log(5/2), log(35/16), log 7; log(9/4), log(9/4), log 9.

    A label of 1/2 a, 1/4 tie, 1/4 b under Davidson: 3/4 log(9/4) + 1/4 log 9 = 1.157504.
    """
    sure = torch.eye(3)
    rk = outcome_loss(rao_kupper(torch.full((3,), LN2), beta=1.0, nu=3.0), sure[0], sure[1])
    assert rk.tolist() == pytest.approx([math.log(5 / 2), math.log(35 / 16), math.log(7)])
    d = outcome_loss(davidson(torch.full((3,), 2 * LN2), beta=1.0, nu=1.0), sure[0], sure[1])
    assert d.tolist() == pytest.approx([math.log(9 / 4), math.log(9 / 4), math.log(9)])
    soft = davidson(torch.tensor([2 * LN2]), beta=1.0, nu=1.0)
    mixed = outcome_loss(soft, torch.tensor([0.5]), torch.tensor([0.25]))
    assert mixed.item() == pytest.approx(1.157504, abs=1e-6)


@every_outcome_model
def test_a_tie_draws_the_margin_to_zero_from_both_sides(model: Model) -> None:
    found = slope(
        lambda margin: outcome_loss(model(margin), torch.zeros(7), torch.ones(7)), margins()
    )
    assert torch.equal(found.sign(), margins().sign())


@every_outcome_model
def test_a_win_pushes_the_margin_up_and_a_loss_down(model: Model) -> None:
    """Margins of at most 3: at 30 the push of a label that is already met is under rounding."""
    at, none = margins()[1:-1], torch.zeros(5)
    win = slope(lambda margin: outcome_loss(model(margin), torch.ones(5), none), at)
    loss = slope(lambda margin: outcome_loss(model(margin), none, none), at)
    assert (win < 0).all()
    assert (loss > 0).all()


@every_outcome_model
def test_swapping_the_sides_of_a_pair_that_may_tie_changes_nothing(model: Model) -> None:
    target, tie = torch.full((7,), 0.5), torch.full((7,), 0.2)
    there = outcome_loss(model(margins()), target, tie)
    back = outcome_loss(model(-margins()), 1 - target - tie, tie)
    assert torch.allclose(there, back)


@every_margin_loss
def test_swapping_the_responses_and_the_label_changes_nothing(loss: Loss) -> None:
    target = torch.linspace(0, 1, 7)
    assert torch.allclose(loss(margins(), target), loss(-margins(), 1 - target), atol=1e-5)


@every_margin_loss
def test_a_soft_target_is_the_mix_of_the_sure_ones(loss: Loss) -> None:
    sure_a, sure_b = loss(margins(), torch.ones(7)), loss(margins(), torch.zeros(7))
    mixed = loss(margins(), torch.full((7,), 0.7))
    assert torch.allclose(mixed, 0.7 * sure_a + 0.3 * sure_b, atol=1e-5)


@every_margin_loss
def test_a_sure_label_pushes_an_undecided_margin_its_way(loss: Loss) -> None:
    assert slope(lambda margin: loss(margin, torch.ones(1)), torch.zeros(1)).item() < 0
    assert slope(lambda margin: loss(margin, torch.zeros(1)), torch.zeros(1)).item() > 0


@pytest.mark.parametrize("size", [1e4, -1e4])
@every_margin_loss
def test_a_huge_margin_gives_a_finite_loss_and_gradient(loss: Loss, size: float) -> None:
    for target in (torch.zeros(1), torch.full((1,), 0.5), torch.ones(1)):
        assert loss(torch.tensor([size]), target).isfinite().all()
        assert slope(
            lambda margin, label=target: loss(margin, label), torch.tensor([size])
        ).isfinite()


@pytest.mark.parametrize("size", [1e4, -1e4])
@every_outcome_model
def test_a_huge_margin_leaves_the_tie_losses_finite(model: Model, size: float) -> None:
    for target, tie in [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.4, 0.3)]:
        label = torch.tensor([target]), torch.tensor([tie])
        assert outcome_loss(model(torch.tensor([size])), *label).isfinite().all()
        found = slope(
            lambda margin, of=label: outcome_loss(model(margin), *of), torch.tensor([size])
        )
        assert found.isfinite().all()


def test_a_hopeless_margin_gives_a_large_finite_loss() -> None:
    """z = 0.1 * -1e6: -log sigmoid(z) = 1e5, where log(sigmoid(z)) would be infinite."""
    loss = sigmoid_loss(torch.tensor([-1e6]), torch.ones(1), beta=0.1)
    assert loss.item() == pytest.approx(1e5)


def test_a_hopeless_tie_costs_what_the_models_say() -> None:
    """z = 1e4. Rao-Kupper: -log P(tie) -> z + log nu - log(nu^2 - 1), with nu = 3 z + log(3/8).

    Davidson: -log P(tie) -> z / 2 - log(2 nu), with nu = 1 z / 2 - log 2.
    """
    at, label = torch.tensor([1e4]), (torch.zeros(1), torch.ones(1))
    rk = outcome_loss(rao_kupper(at, beta=1.0, nu=3.0), *label).item()
    d = outcome_loss(davidson(at, beta=1.0, nu=1.0), *label).item()
    assert (rk, d) == pytest.approx((1e4 + LN3 - 3 * LN2, 5e3 - LN2), abs=2e-3)


def test_token_logps_are_log_softmax_at_the_target() -> None:
    """Logits (0, log 3): probabilities 1/4 and 3/4."""
    logits = torch.tensor([[[0.0, math.log(3)], [0.0, math.log(3)]]])
    logps = token_logps(logits, torch.tensor([[0, 1]]))
    assert logps.tolist()[0] == pytest.approx([math.log(0.25), math.log(0.75)])


def test_accuracy_counts_right_wrong_and_undecided() -> None:
    margin = torch.tensor([2.0, 2.0, -2.0, 1e-5])
    target = torch.tensor([1.0, 0.0, 0.0, 1.0])
    assert preference_accuracy(margin, target).tolist() == [1.0, 0.0, 1.0, 0.5]


def test_accuracy_sides_with_the_likelier_winner_of_a_label_that_may_tie() -> None:
    """P(a), P(tie), P(b): 0.3, 0.6, 0.1 says a; 0.2, 0.3, 0.5 says b; 0, 1, 0 says neither."""
    target, tie = torch.tensor([0.3, 0.2, 0.0]), torch.tensor([0.6, 0.3, 1.0])
    assert preference_accuracy(torch.full((3,), 2.0), target, tie).tolist() == [1.0, 0.0, 0.5]
