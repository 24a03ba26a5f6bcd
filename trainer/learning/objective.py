"""What an update minimises: one of the losses in `trainer.learning.dpo`, as the settings have it.

An `Objective` turns the log-probabilities of B pairs into losses and margins. It refuses ties that
its loss has no place for. It knows no model, no label of the store, and no weights: the caller
weighs the losses.
"""

from dataclasses import dataclass

from torch import Tensor

from labeler.config.parts.training import Training
from labeler.domain.losses import TIE_LOSSES, Loss
from trainer.learning import dpo

ROUNDING_NATS_PER_TOKEN = dpo.ROUNDING_NATS / 100
# With which dpo_rk and dpo_d expect two responses of equal reward to tie: the paper's nu = 3 and 1.
TIE_SHARE = 0.5


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
    """A loss with its settings."""

    settings: Training

    def losses(self, logps: PairLogps, target_B: Tensor, tie_B: Tensor) -> Tensor:
        """The loss of each pair (B,), for labels P(a preferred) = target and P(tie) = tie.

        Raises ValueError if a label gives probability to a tie and the loss has no place for it.
        """
        loss, beta, epsilon = self.settings.loss, self.settings.beta, self.settings.label_smoothing
        if loss not in TIE_LOSSES and bool(tie_B.any()):
            raise ValueError(
                f"The loss '{loss}' has no place for a tie; leave tied pairs out, or take "
                f"{' or '.join(TIE_LOSSES)}."
            )
        margin_B = self.margin(logps)
        match loss:
            case Loss.SIGMOID | Loss.SIGMOID_NORM:
                return dpo.cdpo_loss(margin_B, target_B, beta=beta, epsilon=epsilon)
            case Loss.ROBUST:
                return dpo.robust_loss(margin_B, target_B, beta=beta, epsilon=epsilon)
            case Loss.HINGE:
                return dpo.hinge_loss(margin_B, target_B, beta=beta)
            case Loss.IPO:
                return dpo.ipo_loss(margin_B, target_B, beta=beta)
            case Loss.SIMPO:
                gamma = self.settings.simpo_gamma
                return dpo.simpo_loss(margin_B, target_B, beta=beta, gamma=gamma)
            case Loss.DPO_RK:
                outcomes = dpo.rao_kupper(margin_B, beta=beta, nu=dpo.rao_kupper_nu(TIE_SHARE))
            case Loss.DPO_D:
                outcomes = dpo.davidson(margin_B, beta=beta, nu=dpo.davidson_nu(TIE_SHARE))
        return dpo.outcome_loss(outcomes, target_B, tie_B)

    def margin(self, logps: PairLogps) -> Tensor:
        """What the loss ranks a over b by (B,): nats, or nats per token if it is length-normalised.

        Its sign is the implicit preference. R-DPO's length margin is part of it, since that is what
        the labels are explained by; so where `length_alpha` is not 0, a policy that equals its
        reference expects the longer response to be preferred.
        """
        margin_B = dpo.reward_margin(*self._scores(logps))
        if self.settings.length_alpha:
            alpha = self.settings.length_alpha / self.settings.beta
            margin_B = margin_B + dpo.length_margin(logps.tokens_a, logps.tokens_b, alpha=alpha)
        return margin_B

    @property
    def rounding(self) -> float:
        """A margin below this is rounding, and ranks nothing."""
        return ROUNDING_NATS_PER_TOKEN if self.settings.loss.traits.per_token else dpo.ROUNDING_NATS

    def accuracy(self, logps: PairLogps, target_B: Tensor, tie_B: Tensor) -> Tensor:
        """1 where the margin ranks the pair as the label does, 0 where not, 0.5 undecided (B,)."""
        margin_B = self.margin(logps)
        return dpo.preference_accuracy(margin_B, target_B, tie_B, rounding=self.rounding)

    def _scores(self, logps: PairLogps) -> tuple[Tensor, Tensor]:
        """What a and b are ranked by, each (B,): the margin is their difference, but for length."""
        traits = self.settings.loss.traits
        score_a_B, score_b_B = logps.policy_a, logps.policy_b
        if traits.needs_reference:
            score_a_B, score_b_B = score_a_B - logps.reference_a, score_b_B - logps.reference_b
        if traits.per_token:
            score_a_B = dpo.per_token(score_a_B, logps.tokens_a)
            score_b_B = dpo.per_token(score_b_B, logps.tokens_b)
        return score_a_B, score_b_B
