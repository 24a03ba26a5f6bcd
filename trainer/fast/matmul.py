"""Matrix products outside autograd, by oneDNN where torch has it.

For float32 on the CPU torch calls MKL, which leaves AVX-512 unused on processors that are not
Intel's. oneDNN, which torch brings along, uses it: twice as fast on an AMD EPYC. torch offers it
for plain float32 products only through an operator that its compiler emits. oneDNN prepares itself
anew for every size that it has not met lately, so sizes should repeat.
"""

import torch
from torch import Tensor

_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_linear_pointwise"
)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (N, I) times weight (O, I) transposed, plus bias (O): (N, O). Takes no gradient.

    Either may be a transposed view, so `linear(x, w.T)` is x w.
    """
    if _ONEDNN and x.device.type == "cpu" and x.dtype == torch.float32 == weight.dtype:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product
    return torch.nn.functional.linear(x, weight, bias)
