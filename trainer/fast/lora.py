"""LoRA layers with a written-out gradient: the same function as peft's, with less kept and copied.

    y = x W^T + b + s (x A^T) B^T           W (out, in), A (r, in), B (out, r), s = alpha / r

peft computes this in five steps, each with a result of its own that is kept for the backward pass.
Here the second product is added into the first. What is kept is x, which neighbouring layers share
(queries, keys and values have one input), and x A^T, which is as narrow as the rank:

    dB = s dy^T (x A^T)      dA = s (dy B)^T x      dx = dy W + s (dy B) A

A gated block, down(silu(gate(x)) * up(x)), is most of a Llama's activations. Of its four wide
tensors two are kept, gate(x) and up(x); the backward pass multiplies them again.

Only plain layers are taken: `nn.Linear`, no dropout, no variant such as DoRA, no LoRA bias, and an
adapter in float32 or in the dtype of the base. Any other layer, and every pass under an adapter
that trains nothing, is left to peft; with the adapters off (the reference) a layer is one product,
rounded only inside `rounded_products`. On a base of less than float32 peft rounds the product, adds
what the adapter does, and rounds again, which loses most of a small adapter: here both are summed
before they are rounded, in passes that train nothing, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import MethodType
from typing import Any

import torch
from peft.tuners import lora
from torch import Tensor, nn
from transformers.activations import ACT2FN

from trainer.fast.matmul import linear

_rounds: ContextVar[bool] = ContextVar("_rounds", default=False)


@contextmanager
def rounded_products() -> Iterator[None]:
    """Inside this context, the base alone multiplies in the dtype that it does in training."""
    before = _rounds.set(True)
    try:
        yield
    finally:
        _rounds.reset(before)


def make_lean(model: nn.Module, products: torch.dtype | None = None) -> None:
    """Let the plain LoRA layers of a peft model train leanly; they stay peft layers in all else.

    When they train, the products with frozen weights are taken in `products`, or in their dtype.
    """
    for module in model.modules():
        if type(module) is lora.Linear and type(module.base_layer) is nn.Linear:
            module.forward = MethodType(partial(_forward, products=products), module)
    for module in model.modules():
        if _is_gated(module):
            module.forward = MethodType(partial(_gated_forward, products=products), module)


def _forward(
    layer: lora.Linear, x: Tensor, *args: Any, products: torch.dtype | None, **kwargs: Any
) -> Tensor:
    """(..., in) to (..., out) under the adapter that is switched on."""
    name = layer.active_adapters[0]
    base = layer.base_layer
    if layer.disable_adapters and not (layer.merged or torch.is_grad_enabled()):
        weight = base.weight.to(products or base.weight.dtype) if _rounds.get() else base.weight
        return linear(x.flatten(0, -2), weight, base.bias).view(*x.shape[:-1], -1)
    if not (_trains_plainly(layer, name) or _is_rounded(layer, name)):
        result: Tensor = lora.Linear.forward(layer, x, *args, **kwargs)
        return result
    A, B = layer.lora_A[name].weight, layer.lora_B[name].weight
    rows = x.flatten(0, -2)
    y: Tensor = _LowRank.apply(  # type: ignore[no-untyped-call]
        rows, base.weight, base.bias, A, B, layer.scaling[name], products
    )
    return y.view(*x.shape[:-1], -1)


def _gated_forward(block: nn.Module, x: Tensor, *, products: torch.dtype | None) -> Tensor:
    """(..., in) to (..., in) through a gated block."""
    down: Any = block.down_proj
    name = down.active_adapters[0]
    if not _trains_plainly(down, name):
        result: Tensor = type(block).forward(block, x)
        return result
    gate: Tensor = block.gate_proj(x)  # type: ignore[operator]
    up: Tensor = block.up_proj(x)  # type: ignore[operator]
    base, A, B = down.base_layer, down.lora_A[name].weight, down.lora_B[name].weight
    sides = gate.flatten(0, -2), up.flatten(0, -2)
    y: Tensor = _GatedLowRank.apply(  # type: ignore[no-untyped-call]
        *sides, base.weight, base.bias, A, B, down.scaling[name], products
    )
    return y.view(*x.shape[:-1], -1)


def _is_gated(module: nn.Module) -> bool:
    """Whether this is such a block, of lean layers: by its parts, and by trying it."""
    parts = dict(module.named_children())
    projections = [parts.get(name) for name in ("gate_proj", "up_proj", "down_proj")]
    if parts.keys() != {"gate_proj", "up_proj", "down_proj", "act_fn"} or not all(
        isinstance(part, lora.Linear) and "forward" in vars(part) for part in projections
    ):
        return False
    if not isinstance(parts["act_fn"], type(ACT2FN["silu"])):
        return False
    gate, up, down = projections
    assert isinstance(gate, lora.Linear)
    weight = gate.base_layer.weight
    with torch.no_grad():
        x = torch.linspace(-1, 1, weight.shape[1], device=weight.device, dtype=weight.dtype)[None]
        return torch.equal(module(x), down(nn.functional.silu(gate(x)) * up(x)))  # type: ignore[misc]


def _trains_plainly(layer: lora.Linear, name: str) -> bool:
    return (
        torch.is_grad_enabled()
        and _is_plain(layer, name)
        and layer.lora_A[name].weight.requires_grad
    )


def _is_rounded(layer: lora.Linear, name: str) -> bool:
    """Whether peft would round what the adapter adds twice, in a pass that trains nothing."""
    is_narrow = layer.base_layer.weight.dtype in (torch.bfloat16, torch.float16)
    return is_narrow and not torch.is_grad_enabled() and _is_plain(layer, name)


def _is_plain(layer: lora.Linear, name: str) -> bool:
    """Whether this adapter, and no other, is switched on, and is plain LoRA."""
    if layer.disable_adapters or layer.merged:
        return False
    if name not in layer.lora_A or len(layer.active_adapters) != 1:
        return False
    a, b = layer.lora_A[name], layer.lora_B[name]
    return (
        isinstance(layer.lora_dropout[name], nn.Identity)
        and name not in layer.lora_variant
        and a.bias is None
        and b.bias is None
        and a.weight.dtype in (layer.base_layer.weight.dtype, torch.float32)
    )


class _LowRank(torch.autograd.Function):
    """Rows x (N, in) to (N, out); gradients for x, A and B, none for the frozen W and b."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        W: Tensor,
        bias: Tensor | None,
        A: Tensor,
        B: Tensor,
        scaling: float,
        products: torch.dtype | None,
    ) -> Tensor:
        low = linear(x.to(A.dtype), A)
        ctx.save_for_backward(x, low, W, A, B)
        ctx.scaling, ctx.products = scaling, products
        return _product(x, W.to(products or W.dtype), bias, low, B, scaling)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, low, W, A, B = ctx.saved_tensors
        W = W.to(ctx.products or W.dtype)
        dx, dA, dB = _back(x, low, W, A, B, ctx.scaling, dy, ctx.needs_input_grad[0])
        return dx, None, None, dA, dB, None, None


class _GatedLowRank(torch.autograd.Function):
    """As `_LowRank` for x = silu(gate) * up, with gradients for gate and up (N, in)."""

    @staticmethod
    def forward(
        ctx: Any,
        gate: Tensor,
        up: Tensor,
        W: Tensor,
        bias: Tensor | None,
        A: Tensor,
        B: Tensor,
        scaling: float,
        products: torch.dtype | None,
    ) -> Tensor:
        x = nn.functional.silu(gate).mul_(up)
        low = linear(x.to(A.dtype), A)
        ctx.save_for_backward(gate, up, low, W, A, B)
        ctx.scaling, ctx.products = scaling, products
        return _product(x, W.to(products or W.dtype), bias, low, B, scaling)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        gate, up, low, W, A, B = ctx.saved_tensors
        activated = nn.functional.silu(gate)
        W = W.to(ctx.products or W.dtype)
        dx, dA, dB = _back(activated * up, low, W, A, B, ctx.scaling, dy, True)
        assert dx is not None
        dgate = torch.ops.aten.silu_backward(dx * up, gate)
        return dgate, dx.mul_(activated), None, None, dA, dB, None, None


def _back(
    x: Tensor,
    low: Tensor,
    W: Tensor,
    A: Tensor,
    B: Tensor,
    scaling: float,
    dy: Tensor,
    needs_dx: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """The gradients of x, A and B, given that of y; `low` is x A^T."""
    wide = dy.to(B.dtype)
    scaled = linear(wide, B.T).mul_(scaling)
    dx = _plus(linear(dy, W.T), scaled, A) if needs_dx else None
    dA = linear(scaled.T, x.to(A.dtype).T)
    dB = linear(low.T, wide.T).mul_(scaling).T
    return dx, dA, dB


def _product(
    x: Tensor, W: Tensor, bias: Tensor | None, low: Tensor, B: Tensor, scaling: float
) -> Tensor:
    """x W^T + b + s low B^T in x's dtype.

    Where that is less than float32, both products are summed before they are rounded: added to
    what is rounded already, or to the bias alone, most of a small adapter would be rounded away.
    """
    if x.dtype == torch.float32 or x.dtype != W.dtype:
        return _plus(linear(x, W, bias), low, B.T, scaling)
    y = torch.addmm(linear(low, B).mul_(scaling).to(x.dtype), x, W.T)
    return y if bias is None else y.add_(bias)


def _plus(y: Tensor, left: Tensor, right: Tensor, scaling: float = 1.0) -> Tensor:
    """y + s left right in y's dtype, summed in that of the adapter; overwrites y if they agree."""
    return y.to(left.dtype).addmm_(left, right, alpha=scaling).to(y.dtype)
