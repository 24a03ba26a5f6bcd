"""Direct preference losses as pure functions of tensors: no model, no data, no logging.

`B` in a name is the number of pairs. A pair has a first (`a`) and a second (`b`) response. Every
loss takes a margin (what the policy ranks a over b by, in nats) and the label as probabilities:
`target_B` = P(a preferred), and for the two losses that learn from ties `tie_B` = P(tie); the rest
is P(b preferred). A soft target is the same mix of the loss's answers to the sure labels, and
swapping the sides together with the label changes nothing. Losses are (B,): the caller weighs them.

Left out: models of noise that are fitted while training, and losses on more than two responses.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

ROUNDING_NATS = 1e-3

LogProbabilities = tuple[Tensor, Tensor, Tensor]
"""Of the outcomes "a preferred", "tie" and "b preferred", each (B,), in nats."""


def per_token(logps_B: Tensor, tokens_B: Tensor) -> Tensor:
    """Summed log-probabilities (nats) as the mean over the response's tokens (B,).

    A response without tokens has the sum 0 and the mean 0.
    """
    return logps_B / tokens_B.clamp(min=1)


def reward_margin(log_ratio_a_B: Tensor, log_ratio_b_B: Tensor) -> Tensor:
    """Implicit reward of a minus that of b, divided by beta (B,).

    r(x, y) = beta log pi(y|x) / pi_ref(y|x) + beta log Z(x): Rafailov et al. 2023
    (arXiv 2305.18290), eq. 5. The partition function Z cancels.
    """
    return log_ratio_a_B - log_ratio_b_B


def length_margin(tokens_a_B: Tensor, tokens_b_B: Tensor, *, alpha: float) -> Tensor:
    """What R-DPO adds to the difference of the implicit rewards (B,): alpha (|a| - |b|).

    Park et al. 2024 (arXiv 2403.19159): maximise E[r(x, y) - alpha |y|] - beta KL. The best policy
    is pi_ref exp((r - alpha |y|) / beta) / Z, so r = beta log pi / pi_ref + alpha |y| + beta log Z,
    and the logit of "a preferred" is beta m + alpha (|a| - |b|). With alpha > 0 a longer winner
    needs less of the policy's own margin, and a shorter one more: the shorter is favoured.
    """
    return alpha * (tokens_a_B - tokens_b_B)


def sigmoid_loss(margin_B: Tensor, target_B: Tensor, *, beta: float) -> Tensor:
    """The DPO loss of each pair (B,): Rafailov et al. 2023 (arXiv 2305.18290), eq. 7.

    -t log sigmoid(beta m) - (1 - t) log sigmoid(-beta m), where m is the `reward_margin` and
    t = P(a is preferred). With t = 1 this is eq. 7 for "a chosen, b rejected"; with t = 0, for the
    pair the other way round. On a margin of log-ratios `per_token` it is the length-normalised DPO
    of Lambert et al. 2024 (Tulu 3, arXiv 2411.15124).
    """
    z = beta * margin_B
    return -target_B * logsigmoid(z) - (1 - target_B) * logsigmoid(-z)


def cdpo_loss(margin_B: Tensor, target_B: Tensor, *, beta: float, epsilon: float) -> Tensor:
    """Conservative DPO (B,): the DPO loss, where a share epsilon of the labels may be flipped.

    Mitchell 2023, "A note on DPO with noisy preferences and relationship to IPO":
    t = 1 becomes 1 - epsilon and t = 0 becomes epsilon. The loss is least at a finite margin.
    """
    return sigmoid_loss(margin_B, target_B * (1 - 2 * epsilon) + epsilon, beta=beta)


def robust_loss(margin_B: Tensor, target_B: Tensor, *, beta: float, epsilon: float) -> Tensor:
    """Robust DPO (B,): its mean over flipped labels is the DPO loss of the true ones.

    Chowdhury et al. 2024 (arXiv 2403.00409):
    ((1 - epsilon) loss(t) - epsilon loss(1 - t)) / (1 - 2 epsilon), for epsilon < 1/2. The DPO loss
    is linear in t, so this is the DPO loss at (t - epsilon) / (1 - 2 epsilon), which `cdpo_loss`
    would turn back into t. For a sure label that is outside [0, 1]: the loss then has no lower
    bound, and keeps pushing a pair that is already ranked right.
    """
    return sigmoid_loss(margin_B, (target_B - epsilon) / (1 - 2 * epsilon), beta=beta)


def ipo_loss(margin_B: Tensor, target_B: Tensor, *, beta: float) -> Tensor:
    """The IPO loss (B,), in nats squared: Azar et al. 2023 (arXiv 2310.12036), eq. 17.

    t (m - c)^2 + (1 - t) (m + c)^2 with c = 1 / (2 beta); beta is the paper's tau. The margin is of
    log-ratios `per_token`, as in the authors' own experiments: c is in nats per token.
    """
    goal = 1 / (2 * beta)
    return target_B * (margin_B - goal) ** 2 + (1 - target_B) * (margin_B + goal) ** 2


def hinge_loss(margin_B: Tensor, target_B: Tensor, *, beta: float) -> Tensor:
    """The hinge loss on the implicit reward (B,): the winner is to lead by a reward of 1.

    t max(0, 1 - beta m) + (1 - t) max(0, 1 + beta m). SLiC-HF (Zhao et al. 2023, arXiv 2305.10425),
    with log-ratios to the reference as in Liu et al. 2023 (arXiv 2309.06657), there "hinge-norm".
    """
    z = beta * margin_B
    return target_B * (1 - z).relu() + (1 - target_B) * (1 + z).relu()


def simpo_loss(margin_B: Tensor, target_B: Tensor, *, beta: float, gamma: float) -> Tensor:
    """The SimPO loss (B,): Meng et al. 2024 (arXiv 2405.14734), eq. 6.

    -t log sigmoid(beta m - gamma) - (1 - t) log sigmoid(-beta m - gamma): the winner, whichever
    side it is, is to lead by gamma. The margin is of the policy's own log-probabilities
    `per_token`; no reference. gamma is in units of the reward, after beta.
    """
    z = beta * margin_B
    return -target_B * logsigmoid(z - gamma) - (1 - target_B) * logsigmoid(-z - gamma)


def rao_kupper_nu(tie_share: float) -> float:
    """The nu > 1 with which two responses of equal reward tie with this probability.

    There P(tie) = (nu^2 - 1) / (1 + nu)^2 = (nu - 1) / (nu + 1). A share of 1/2 gives 3.
    """
    return (1 + tie_share) / (1 - tie_share)


def rao_kupper(margin_B: Tensor, *, beta: float, nu: float) -> LogProbabilities:
    """Log-probabilities of the outcomes after Rao and Kupper 1967, as in DPO-RK.

    Chen et al. 2024 (arXiv 2409.17431). With z = beta m and nu > 1:
    P(a) = 1 / (1 + nu e^-z) = sigmoid(z - log nu), P(b) is the same of -z, and what is left is
    P(tie) = (nu^2 - 1) P(a) P(b).
    """
    z = beta * margin_B
    threshold_B = torch.full_like(z, nu).log()
    log_a, log_b = logsigmoid(z - threshold_B), logsigmoid(-z - threshold_B)
    return log_a, log_a + log_b + torch.full_like(z, nu**2 - 1).log(), log_b


def davidson_nu(tie_share: float) -> float:
    """The nu > 0 with which two responses of equal reward tie with this probability.

    There P(tie) = 2 nu / (2 + 2 nu) = nu / (1 + nu). A share of 1/2 gives 1.
    """
    return tie_share / (1 - tie_share)


def davidson(margin_B: Tensor, *, beta: float, nu: float) -> LogProbabilities:
    """Log-probabilities of the outcomes after Davidson 1970, as in DPO-D.

    Chen et al. 2024 (arXiv 2409.17431). With z = beta m and nu > 0, P(a) : P(tie) : P(b) is
    e^(z/2) : 2 nu : e^(-z/2); so P(a) = 1 / (1 + e^-z + 2 nu e^(-z/2)).
    """
    half = beta * margin_B / 2
    logits = torch.stack([half, torch.full_like(half, 2 * nu).log(), -half])
    log_a, log_tie, log_b = logits.log_softmax(dim=0).unbind()
    return log_a, log_tie, log_b


def outcome_loss(outcomes: LogProbabilities, target_B: Tensor, tie_B: Tensor) -> Tensor:
    """Cross-entropy of the label to `rao_kupper` or `davidson` outcomes (B,).

    Chen et al. 2024 (arXiv 2409.17431): -log P(a), -log P(tie) or -log P(b); a soft label mixes.
    """
    log_a, log_tie, log_b = outcomes
    return -target_B * log_a - tie_B * log_tie - (1 - target_B - tie_B) * log_b


def preference_accuracy(
    margin_B: Tensor,
    target_B: Tensor,
    tie_B: Tensor | float = 0.0,
    *,
    rounding: float = ROUNDING_NATS,
) -> Tensor:
    """1 where the margin ranks the pair as the label does, 0 where not (B,).

    0.5 where either is undecided: the label if it gives both sides the same probability, the policy
    if its margin is within `rounding` (one that equals its reference differs by rounding alone).
    """
    said_B = 2 * target_B + tie_B - 1
    right = ((margin_B > 0) == (said_B > 0)).float()
    undecided = (margin_B.abs() < rounding) | (said_B == 0)
    return torch.where(undecided, 0.5, right)
