"""What a candidate must pass before people see it. A later change adds win rate, KL and length."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def objections(
    candidate: Mapping[str, Tensor], live: Mapping[str, Tensor], losses: Sequence[float]
) -> list[str]:
    """Why this candidate must not go live, one sentence each; empty if it may."""
    found = []
    if not all(math.isfinite(loss) for loss in losses):
        found.append("the loss became infinite or NaN")
    if not all(bool(torch.isfinite(weight).all()) for weight in candidate.values()):
        found.append("a weight is infinite or NaN")
    elif all(torch.equal(weight, live[name]) for name, weight in candidate.items()):
        found.append("training changed nothing")
    return found
