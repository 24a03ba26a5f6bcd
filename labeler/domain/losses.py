"""The losses by name, and what each can do. `trainer.learning.dpo` holds their mathematics."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


@dataclass(frozen=True)
class Traits:
    """What a loss can do; it is refused what it cannot.

    `learns_ties`: a label may give probability to a tie.
    `takes_smoothing`: a share of the labels is taken to be flipped (`label_smoothing`).
    `takes_length_margin`: R-DPO's reward for length is part of the margin (`length_alpha`).
    `per_token`: it ranks by the mean over a response's tokens, not by the sum.
    `needs_reference`: it reads the reference's log-probabilities.
    `beta`: what `--beta` is where nobody has set it.
    """

    about: str
    learns_ties: bool = False
    takes_smoothing: bool = False
    takes_length_margin: bool = False
    per_token: bool = False
    needs_reference: bool = True
    beta: float = 0.1


class Loss(StrEnum):
    """A preference loss; its value is its name in settings."""

    traits: Traits

    SIGMOID = (
        "sigmoid",
        Traits("DPO; with --label-smoothing cDPO", takes_smoothing=True, takes_length_margin=True),
    )
    SIGMOID_NORM = (
        "sigmoid_norm",
        Traits("DPO by length", takes_smoothing=True, per_token=True, beta=10.0),
    )
    IPO = "ipo", Traits("IPO by length", per_token=True)
    HINGE = "hinge", Traits("SLiC")
    ROBUST = "robust", Traits("noisy labels", takes_smoothing=True, takes_length_margin=True)
    SIMPO = "simpo", Traits("no reference", per_token=True, needs_reference=False, beta=2.0)
    DPO_RK = "dpo_rk", Traits("learns ties", learns_ties=True, takes_length_margin=True)
    DPO_D = "dpo_d", Traits("learns ties", learns_ties=True, takes_length_margin=True)

    def __new__(cls, name: str, traits: Traits) -> Self:
        """A member that equals its name."""
        loss = str.__new__(cls, name)
        loss._value_, loss.traits = name, traits
        return loss


TIE_LOSSES = tuple(loss for loss in Loss if loss.traits.learns_ties)
