"""Whether a model multiplies faster in bfloat16 on this processor, found out by trying.

bfloat16 halves what is read and, on processors with units for it, doubles the products of a second.
On others it is many times slower.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from trainer.fast.matmul import linear, packed

MIN_WEIGHTS = 30_000_000  # smaller ones stay in the processor's caches, where little is gained
MIN_GAIN = 1.3  # so many times faster, or it is not worth the rounding
TRIAL_ROWS = 32
TRIAL_ROUNDS = 5


def rounding_pays(base: PreTrainedModel) -> bool:
    """Whether a float32 model, with adapters or without, is clearly faster in bfloat16 here."""
    if base.dtype != torch.float32 or base.device.type != "cpu":
        return False
    head = base.get_output_embeddings()
    layers = [m for m in base.modules() if isinstance(m, nn.Linear) and m is not head]
    weights = sorted((layer.weight.detach() for layer in layers), key=torch.numel)
    return sum(map(torch.numel, weights)) >= MIN_WEIGHTS and gain(weights[-1]) >= MIN_GAIN


@torch.no_grad()
def gain(weight: Tensor) -> float:
    """How many times faster a float32 weight (out, in) multiplies in bfloat16, at a few rows."""
    x = torch.ones(TRIAL_ROWS, weight.shape[1])
    plain, rounded = packed(weight), packed(weight.bfloat16())
    return _seconds(lambda: linear(x, plain)) / _seconds(lambda: linear(x, rounded))


def _seconds(product: Callable[[], Tensor]) -> float:
    """The fastest of a few calls, after one to prepare it."""
    product()
    found = []
    for _ in range(TRIAL_ROUNDS):
        start = time.perf_counter()
        product()
        found.append(time.perf_counter() - start)
    return min(found)
