"""Direct Preference Optimization as pure functions of tensors: no model, no data, no logging.

Source: Rafailov et al. 2023, "Direct Preference Optimization" (arXiv 2305.18290). A later change
brings the other losses. `B` in a name is the number of pairs. A pair has a first (`a`) and a second
(`b`) response; log-probabilities are summed over the response's tokens, in nats.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid

ROUNDING_NATS = 1e-3


def token_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target token, in float32.

    `logits` is (..., V) and predicts `targets` (...); so position t of the logits must be the one
    *before* token t.
    """
    flat = cross_entropy(logits.flatten(0, -2).float(), targets.flatten(), reduction="none")
    return -flat.view(targets.shape)


def reward_margin(logps_a_B: Tensor, logps_b_B: Tensor, reference_margin_B: Tensor) -> Tensor:
    """Implicit reward of a minus that of b, divided by beta (B,).

    r(x, y) = beta log pi(y|x) / pi_ref(y|x): eq. 5, in which the partition function cancels.
    """
    return (logps_a_B - logps_b_B) - reference_margin_B


def sigmoid_loss(margin_B: Tensor, target_B: Tensor, *, beta: float) -> Tensor:
    """The DPO loss of each pair (B,): eq. 7, with a soft target.

    -t log sigmoid(beta m) - (1 - t) log sigmoid(-beta m), where m is the `reward_margin` and
    t = P(a is preferred). With t = 1 this is eq. 7 for "a chosen, b rejected"; with t = 0, for the
    pair the other way round.
    """
    z = beta * margin_B
    return -target_B * logsigmoid(z) - (1 - target_B) * logsigmoid(-z)


def preference_accuracy(margin_B: Tensor, target_B: Tensor) -> Tensor:
    """1 where the implicit reward ranks the pair as the label does, 0 where not (B,).

    0.5 where it is undecided: a policy that equals its reference differs by rounding alone.
    """
    right = ((margin_B > 0) == (target_B > 0.5)).float()
    return torch.where(margin_B.abs() < ROUNDING_NATS, 0.5, right)
