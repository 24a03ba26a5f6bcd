"""Matrix products outside autograd, by oneDNN where torch has it.

For float32 on the CPU torch calls MKL, which leaves AVX-512 unused on processors that are not
Intel's. oneDNN, which torch brings along, uses it: twice as fast on an AMD EPYC. torch offers it
for plain float32 products only through an operator that its compiler emits, and prepares weights
for it only through another. oneDNN prepares itself anew for every size that it has not met lately,
so sizes should repeat.

What is prepared is code for one size, of some hundred KB, and stays until a thousand others have
come: half a GB where replies of all lengths are read. Here `PREPARED` sizes stay, more than a pass
through a model needs; the environment has the last word.

A weight may be of fewer bits than what it is multiplied with: activations are then rounded to its
dtype, summed in float32, and come back as they were.
"""

import os

import torch
from torch import Tensor

PREPARED = 128
# oneDNN's own cache, and the one through which torch comes to it. They are read at the first use.
for _cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_cache, str(PREPARED))
PACKED_FOR_ROWS = 256  # oneDNN lays weights out for about so many rows; others work as well
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_linear_pointwise"
)
_DTYPES = {torch.float32} if _ONEDNN else set()
if _ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported():
    _DTYPES.add(torch.bfloat16)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (N, I) times weight (O, I) transposed, plus bias (O): (N, O) in x's dtype. No gradient.

    Either may be a transposed view, so `linear(x, w.T)` is x w. The bias has x's dtype.
    """
    if x.dtype != weight.dtype:
        rounded = linear(x.to(weight.dtype), weight).to(x.dtype)
        return rounded if bias is None else rounded.add_(bias)
    if x.device.type == "cpu" and x.dtype in _DTYPES:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product
    return torch.nn.functional.linear(x, weight, bias)


def packed(weight: Tensor) -> Tensor:
    """The weight (O, I) for `linear` alone: laid out for oneDNN where it multiplies such."""
    if weight.device.type == "cpu" and weight.dtype in _DTYPES:
        laid_out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, PACKED_FOR_ROWS)
        return laid_out
    return weight.contiguous()
