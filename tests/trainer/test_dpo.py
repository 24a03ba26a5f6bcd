"""The loss against values derived by hand."""

import math

import pytest
import torch

from trainer.dpo import preference_accuracy, reward_margin, sigmoid_loss, token_logps


def test_the_loss_is_log_two_where_the_policy_equals_its_reference() -> None:
    """Margin 0 gives -log sigmoid(0) = log 2, whatever the label and beta."""
    margin = reward_margin(
        torch.tensor([-5.0, -5.0]), torch.tensor([-7.0, -7.0]), torch.tensor([2.0, 2.0])
    )
    losses = sigmoid_loss(margin, torch.tensor([1.0, 0.0]), beta=0.3)
    assert losses.tolist() == pytest.approx([math.log(2)] * 2)


def test_the_loss_of_a_known_margin() -> None:
    """logps -3 and -5, reference -4 and -4: m = (-3 + 5) - 0 = 2; beta 0.5 gives z = 1.

    a preferred: log(1 + e^-1) = 0.313262; b preferred: log(1 + e) = 1.313262;
    a preferred with 3/4: 0.75 * 0.313262 + 0.25 * 1.313262 = 0.563262.
    """
    margin = reward_margin(torch.tensor([-3.0]), torch.tensor([-5.0]), torch.tensor([0.0]))
    losses = sigmoid_loss(margin.expand(3), torch.tensor([1.0, 0.0, 0.75]), beta=0.5)
    assert losses.tolist() == pytest.approx([0.313262, 1.313262, 0.563262], abs=1e-6)


def test_swapping_the_responses_and_the_label_changes_nothing() -> None:
    a, b, reference = torch.randn(3, 8)
    target = torch.rand(8)
    there = sigmoid_loss(reward_margin(a, b, reference), target, beta=0.1)
    back = sigmoid_loss(reward_margin(b, a, -reference), 1 - target, beta=0.1)
    assert torch.allclose(there, back)


def test_the_gradient_pushes_by_beta_times_the_share_that_is_wrong() -> None:
    """d loss / d margin = -beta * sigmoid(-beta m): with m = 0 and beta = 0.4, -0.2."""
    margin = torch.zeros(1, requires_grad=True)
    sigmoid_loss(margin, torch.ones(1), beta=0.4).sum().backward()
    assert margin.grad is not None
    assert margin.grad.item() == pytest.approx(-0.2)


def test_a_hopeless_margin_gives_a_large_finite_loss() -> None:
    """z = 0.1 * -1e6: -log sigmoid(z) = 1e5, where log(sigmoid(z)) would be infinite."""
    loss = sigmoid_loss(torch.tensor([-1e6]), torch.ones(1), beta=0.1)
    assert loss.item() == pytest.approx(1e5)


def test_token_logps_are_log_softmax_at_the_target() -> None:
    """Logits (0, log 3): probabilities 1/4 and 3/4."""
    logits = torch.tensor([[[0.0, math.log(3)], [0.0, math.log(3)]]])
    logps = token_logps(logits, torch.tensor([[0, 1]]))
    assert logps.tolist()[0] == pytest.approx([math.log(0.25), math.log(0.75)])


def test_accuracy_counts_right_wrong_and_undecided() -> None:
    margin = torch.tensor([2.0, 2.0, -2.0, 1e-5])
    target = torch.tensor([1.0, 0.0, 0.0, 1.0])
    assert preference_accuracy(margin, target).tolist() == [1.0, 0.0, 1.0, 0.5]
