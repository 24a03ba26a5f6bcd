"""What an update minimises, and in which steps."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from labeler.config.parts.part import Mark, Part
from labeler.domain.losses import Loss


class Training(Part):
    """Training (as above)"""

    loss: Annotated[Loss, Mark.POLICY_MAY_SET] = Field(
        Loss.SIGMOID_NORM,
        description=", ".join(
            f"{loss} ({loss.traits.about}; beta {loss.traits.beta:g})" for loss in Loss
        )
        + ".",
    )
    # For ipo the paper's tau: the margin to reach is 1 / (2 beta) nats a token.
    beta: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        default_factory=lambda data: data["loss"].traits.beta,
        gt=0,
        description="DPO beta: how strongly the policy is held to the reference. Default: that of "
        "the loss.",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Share of votes assumed wrong, for cDPO and robust DPO."
    )
    # gamma itself, in units of the reward, as TRL's `simpo_gamma`; not gamma / beta.
    simpo_gamma: float = Field(0.5, ge=0, description="Reward margin that SimPO aims at.")
    length_alpha: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        0.0, ge=0, description="R-DPO: reward attributed to each token of length."
    )
    reference: Literal["base", "previous"] = Field(
        "base",
        description="What beta holds the policy to: base, or the version before (iterative DPO).",
    )
    learning_rate: Annotated[float | None, Mark.POLICY_MAY_SET] = Field(
        None,
        gt=0,
        lt=1,
        description="AdamW learning rate. Default: found in each step, by --update-kl.",
    )
    update_kl: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        0.03,
        gt=0,
        description="How far an update moves the policy where no learning rate is set: KL, in nats "
        "a token.",
    )
    decay_labels: Annotated[int, Mark.POLICY_MAY_SET] = Field(
        0,
        ge=0,
        description="Labels after which steps are half as large, and after twice as "
        "many to a third (inverse-time decay): the first votes show quickly, and later ones do "
        "not undo what was learned; 0: constant.",
    )
    passes: Annotated[int, Mark.POLICY_MAY_SET] = Field(
        1, ge=1, description="Passes over the labels of one update."
    )
    batch_pairs: Annotated[int, Mark.POLICY_MAY_SET] = Field(
        8, ge=1, description="Pairs in one optimiser step."
    )
    fill: Annotated[int, Mark.POLICY_MAY_SET] = Field(
        0,
        ge=0,
        le=64,
        description="Pairs for each fresh vote that nobody rated, labelled by a reward model of "
        "people's votes; 0: none.",
    )
    fill_candidates: Annotated[int, Mark.POLICY_MAY_SET] = Field(
        4,
        ge=2,
        le=64,
        description="Responses to each prompt of these: the best and the worst make a pair, then "
        "the next best and the next worst.",
    )
    max_grad_norm: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        1.0, gt=0, description="Gradient norm is clipped to this."
    )
    micro_tokens: int = Field(
        0, ge=0, description="Tokens computed at once in training; 0: as many as fit in memory."
    )

    @model_validator(mode="after")
    def _loss_takes_its_settings(self) -> Self:
        """Refuse what this loss has no place for, or lacks."""
        loss = self.loss
        if self.label_smoothing and not loss.traits.takes_smoothing:
            raise ValueError(
                f"The loss '{loss}' takes no label smoothing; use --loss sigmoid or robust."
            )
        if loss is Loss.ROBUST and not self.label_smoothing:
            raise ValueError(
                "The loss 'robust' needs a share of wrong votes; set --label-smoothing 0.1, say."
            )
        if self.length_alpha and not loss.traits.takes_length_margin:
            raise ValueError(
                f"The loss '{loss}' takes no length margin; use --loss sigmoid, or "
                "--length-alpha 0."
            )
        if self.reference == "previous" and not loss.traits.needs_reference:
            raise ValueError(f"The loss '{loss}' has no reference; leave out --reference previous.")
        return self
