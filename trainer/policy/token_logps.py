"""Log-probabilities of tokens from logits."""

from torch import Tensor
from torch.nn.functional import cross_entropy


def token_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target token, in float32.

    `logits` is (..., V) and predicts `targets` (...); so position t of the logits must be the one
    *before* token t.
    """
    flat = cross_entropy(logits.flatten(0, -2).float(), targets.flatten(), reduction="none")
    return -flat.view(targets.shape)
