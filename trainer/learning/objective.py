"""What an update minimises: one of the losses in `trainer.learning.dpo`, with its settings.

An `Objective` turns the log-probabilities of B pairs into losses, margins and implicit rewards. It
refuses settings that do not go together, and ties that its loss has no place for. It knows no
model, no label of the store, and no weights: the caller weighs the losses.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from trainer.learning import dpo

LossName = Literal["sigmoid", "sigmoid_norm", "robust", "hinge", "ipo", "simpo", "dpo_rk", "dpo_d"]
LOSSES: tuple[LossName, ...] = get_args(LossName)
SMOOTHED: tuple[LossName, ...] = ("sigmoid", "sigmoid_norm", "robust")
LENGTH_AWARE: tuple[LossName, ...] = ("sigmoid", "robust", "dpo_rk", "dpo_d")
LENGTH_NORMALISED: tuple[LossName, ...] = ("sigmoid_norm", "ipo", "simpo")
TIES: tuple[LossName, ...] = ("dpo_rk", "dpo_d")

ROUNDING_NATS_PER_TOKEN = dpo.ROUNDING_NATS / 100


@dataclass(frozen=True)
class PairLogps:
    """Of B pairs, all (B,): log-probabilities summed over each response, nats, and token counts."""

    policy_a: Tensor
    policy_b: Tensor
    reference_a: Tensor
    reference_b: Tensor
    tokens_a: Tensor  # float
    tokens_b: Tensor  # float


@dataclass(frozen=True)
class Objective:
    """A loss and its settings. Raises ValueError where they do not go together.

    `beta` scales the margin to a reward; for ipo it is the paper's tau, and the margin to reach is
    1 / (2 beta) nats per token.
    `label_smoothing` is the assumed share of flipped labels: with sigmoid and sigmoid_norm it makes
    cDPO, with robust it is the epsilon that is corrected for.
    `simpo_gamma` is the reward (beta times nats per token) by which simpo wants the winner to lead:
    gamma itself, as TRL's `simpo_gamma`, and not gamma / beta. Other losses do not read it.
    `length_alpha` is R-DPO's reward per token; above 0 the shorter response is favoured.
    `tie_share` is the probability with which dpo_rk and dpo_d expect two responses of equal reward
    to tie; 0.5 is the paper's nu = 3 and nu = 1. Other losses do not read it.
    """

    loss: LossName
    beta: float
    label_smoothing: float = 0.0
    simpo_gamma: float = 0.5
    length_alpha: float = 0.0
    tie_share: float = 0.5

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"There is no loss '{self.loss}'; take one of {', '.join(LOSSES)}.")
        self._check_ranges()
        self._check_combinations()

    @property
    def uses_reference(self) -> bool:
        """Whether the reference's log-probabilities are read at all."""
        return self.loss != "simpo"

    @property
    def learns_ties(self) -> bool:
        """Whether a label may give probability to a tie."""
        return self.loss in TIES

    def losses(self, logps: PairLogps, target_B: Tensor, tie_B: Tensor) -> Tensor:
        """The loss of each pair (B,), for labels P(a preferred) = target and P(tie) = tie.

        Raises ValueError if a label gives probability to a tie and the loss has no place for it.
        """
        if not self.learns_ties and bool(tie_B.any()):
            raise ValueError(
                f"The loss '{self.loss}' has no place for a tie; leave tied pairs out, or take "
                f"{' or '.join(TIES)}."
            )
        margin_B, beta, epsilon = self.margin(logps), self.beta, self.label_smoothing
        match self.loss:
            case "sigmoid" | "sigmoid_norm":
                return dpo.cdpo_loss(margin_B, target_B, beta=beta, epsilon=epsilon)
            case "robust":
                return dpo.robust_loss(margin_B, target_B, beta=beta, epsilon=epsilon)
            case "hinge":
                return dpo.hinge_loss(margin_B, target_B, beta=beta)
            case "ipo":
                return dpo.ipo_loss(margin_B, target_B, beta=beta)
            case "simpo":
                return dpo.simpo_loss(margin_B, target_B, beta=beta, gamma=self.simpo_gamma)
            case "dpo_rk":
                outcomes = dpo.rao_kupper(margin_B, beta=beta, nu=dpo.rao_kupper_nu(self.tie_share))
            case "dpo_d":
                outcomes = dpo.davidson(margin_B, beta=beta, nu=dpo.davidson_nu(self.tie_share))
        return dpo.outcome_loss(outcomes, target_B, tie_B)

    def margin(self, logps: PairLogps) -> Tensor:
        """What the loss ranks a over b by (B,): nats, or nats per token if it is length-normalised.

        Its sign is the implicit preference. R-DPO's length margin is part of it, since that is what
        the labels are explained by; so where `length_alpha` is not 0, a policy that equals its
        reference expects the longer response to be preferred.
        """
        score_a_B, score_b_B = self._scores(logps)
        margin_B = score_a_B - score_b_B
        if self.length_alpha:
            alpha = self.length_alpha / self.beta
            margin_B = margin_B + dpo.length_margin(logps.tokens_a, logps.tokens_b, alpha=alpha)
        return margin_B

    def rewards(self, logps: PairLogps) -> tuple[Tensor, Tensor]:
        """The implicit rewards of a and of b, each (B,), as TRL logs them.

        beta log pi / pi_ref summed over the response, also for the losses that divide it by the
        length; for simpo beta times the policy's mean log-probability per token.
        """
        if not self.uses_reference:
            score_a_B, score_b_B = self._scores(logps)
            return self.beta * score_a_B, self.beta * score_b_B
        return (
            self.beta * (logps.policy_a - logps.reference_a),
            self.beta * (logps.policy_b - logps.reference_b),
        )

    @property
    def rounding(self) -> float:
        """A margin below this is rounding, and ranks nothing."""
        normalised = self.loss in LENGTH_NORMALISED
        return ROUNDING_NATS_PER_TOKEN if normalised else dpo.ROUNDING_NATS

    def accuracy(self, logps: PairLogps, target_B: Tensor, tie_B: Tensor) -> Tensor:
        """1 where the margin ranks the pair as the label does, 0 where not, 0.5 undecided (B,)."""
        margin_B = self.margin(logps)
        return dpo.preference_accuracy(margin_B, target_B, tie_B, rounding=self.rounding)

    def _scores(self, logps: PairLogps) -> tuple[Tensor, Tensor]:
        """What a and b are ranked by, each (B,): the margin is their difference, but for length."""
        score_a_B, score_b_B = logps.policy_a, logps.policy_b
        if self.uses_reference:
            score_a_B, score_b_B = score_a_B - logps.reference_a, score_b_B - logps.reference_b
        if self.loss in LENGTH_NORMALISED:
            score_a_B = dpo.per_token(score_a_B, logps.tokens_a)
            score_b_B = dpo.per_token(score_b_B, logps.tokens_b)
        return score_a_B, score_b_B

    def _check_ranges(self) -> None:
        """Refuse a number that no loss can take."""
        if not (math.isfinite(self.beta) and self.beta > 0):
            raise ValueError(f"beta is {self.beta}; it must be above 0.")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}; it must be at least 0 and below 0.5, "
                "where labels say nothing."
            )
        if not (math.isfinite(self.simpo_gamma) and self.simpo_gamma >= 0):
            raise ValueError(f"simpo_gamma is {self.simpo_gamma}; it must be at least 0.")
        if not (math.isfinite(self.length_alpha) and self.length_alpha >= 0):
            raise ValueError(f"length_alpha is {self.length_alpha}; it must be at least 0.")
        if not 0.01 <= self.tie_share <= 0.99:
            raise ValueError(f"tie_share is {self.tie_share}; it must be from 0.01 to 0.99.")

    def _check_combinations(self) -> None:
        """Refuse a setting that this loss has no place for, or lacks."""
        if self.loss == "robust" and self.label_smoothing == 0:
            raise ValueError(
                "The loss 'robust' with label_smoothing 0 is sigmoid; set label_smoothing to the "
                "share of labels that are flipped, or take sigmoid."
            )
        if self.label_smoothing and self.loss not in SMOOTHED:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}, and the loss '{self.loss}' has no "
                f"place for it; set it to 0, or take one of {', '.join(SMOOTHED)}."
            )
        if self.length_alpha and self.loss not in LENGTH_AWARE:
            raise ValueError(
                f"length_alpha is {self.length_alpha}, and the loss '{self.loss}' has no place for "
                f"it; set it to 0, or take one of {', '.join(LENGTH_AWARE)}."
            )
