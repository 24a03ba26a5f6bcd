"""Attention over packed pairs, as an attention implementation of transformers.

    with pair_attention(model):
        model(input_ids=..., position_ids=..., packed=packed)

A pair is S = prompt + a + b tokens. Its attention is computed alone, against its own (S, S) mask,
so no (N, N) mask of the whole row is made and no pair pays for the padding of another. The backward
pass is written out: it keeps queries, keys and values, and works the weights out again.

    W = softmax(s(Q K^T) + mask)    s(x) = scaling * x, or cap * tanh(scaling * x / cap)
    O = W V

Leaves out: attention dropout (a policy always computes in eval mode), attention sinks and biases; a
model that has them fails the check in `trainer.policy.logps` and is computed in plain rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from trainer.fast.layout import PackedPairs, Span

NAME = "livedpo_pairs"
KEPT_TOKENS = 256  # weights of a pair of up to so many tokens are kept for the backward pass


@contextmanager
def pair_attention(model: PreTrainedModel) -> Iterator[None]:
    """Attend within packed pairs inside this context, and as before after it.

    The layers read the name from the one configuration that they share. `set_attn_implementation`
    would walk all modules each time; a model that looks elsewhere fails the check in
    `trainer.policy.logps`.
    """
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before


@dataclass(frozen=True)
class Scores:
    """How a layer turns products of queries and keys into scores."""

    scaling: float
    softcap: float | None

    def weights(self, q_GD: Tensor, k_SD: Tensor, mask_SS: Tensor) -> Tensor:
        """Attention weights (K, G, S), G = queries times their share of the K key heads."""
        scores = torch.bmm(q_GD, k_SD.transpose(1, 2)).float().mul_(self.scaling)
        if self.softcap is not None:
            scores.div_(self.softcap).tanh_().mul_(self.softcap)
        tokens = mask_SS.shape[0]
        scores.view(-1, tokens, tokens).add_(mask_SS)
        return scores.softmax(-1).to(q_GD.dtype)

    def back(self, gradient: Tensor, q_GD: Tensor, k_SD: Tensor) -> Tensor:
        """Gradient of the scores to gradient of the products, in place."""
        if self.softcap is not None:
            capped = torch.bmm(q_GD, k_SD.transpose(1, 2)).float().mul_(self.scaling / self.softcap)
            gradient.mul_(1 - capped.tanh_().square_())
        return gradient.mul_(self.scaling)


class PairAttention(torch.autograd.Function):
    """Attention of q (1, H, N, D) to k and v (1, K, N, D), pair by pair; gives (1, N, H, D)."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, packed: PackedPairs, masks: Any, scores: Scores
    ) -> Tensor:
        """See the class."""
        _, heads, tokens, width = q.shape
        out = q.new_empty(1, tokens, heads, width)
        kept: list[Tensor | None] = []
        for span, mask in zip(packed.spans, masks, strict=True):
            q_GD, k_SD, v_SD = _grouped(q, k, span), _part(k, span), _part(v, span)
            weights = scores.weights(q_GD, k_SD, mask)
            _put(out, span, torch.bmm(weights, v_SD))
            kept.append(weights if len(mask) <= KEPT_TOKENS else None)
        out[:, packed.spans[-1].end :] = 0
        ctx.save_for_backward(q, k, v, *kept)
        ctx.packed, ctx.masks, ctx.scores = packed, masks, scores
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of q, k and v; the rest has none."""
        q, k, v, *all_kept = ctx.saved_tensors
        scores: Scores = ctx.scores
        to_q, to_k, to_v = (
            torch.empty_like(x.transpose(1, 2), memory_format=torch.contiguous_format)
            for x in (q, k, v)
        )
        for span, mask, kept in zip(ctx.packed.spans, ctx.masks, all_kept, strict=True):
            q_GD, k_SD, v_SD = _grouped(q, k, span), _part(k, span), _part(v, span)
            weights = scores.weights(q_GD, k_SD, mask) if kept is None else kept
            out_GD = _grouped(gradient.transpose(1, 2), k, span)
            _put(to_v, span, torch.bmm(weights.transpose(1, 2), out_GD))
            to_weights = torch.bmm(out_GD, v_SD.transpose(1, 2))
            to_scores = _softmax_back(to_weights.float(), weights)
            products = scores.back(to_scores, q_GD, k_SD).to(q.dtype)
            _put(to_q, span, torch.bmm(products, k_SD))
            _put(to_k, span, torch.bmm(products.transpose(1, 2), q_GD))
        for whole in (to_q, to_k, to_v):
            whole[:, ctx.packed.spans[-1].end :] = 0
        return to_q.transpose(1, 2), to_k.transpose(1, 2), to_v.transpose(1, 2), None, None, None


def _softmax_back(gradient: Tensor, weights: Tensor) -> Tensor:
    """Gradient of softmax's result to that of its argument: w (g - sum(g w))."""
    return torch._softmax_backward_data(gradient, weights.float(), -1, torch.float32)


def _part(x: Tensor, span: Span) -> Tensor:
    """The (K, S, D) of one pair."""
    return x[0, :, span.start : span.end]


def _grouped(q: Tensor, k: Tensor, span: Span) -> Tensor:
    """The queries of one pair by key head: (K, H / K * S, D)."""
    part = q[0, :, span.start : span.end]
    return part.reshape(k.shape[1], -1, part.shape[-1])


def _put(out: Tensor, span: Span, part: Tensor) -> None:
    """Write the heads of one pair, (K, G, D) or (K, S, D), where they belong in (1, N, H, D)."""
    place = out[0, span.start : span.end]
    place.copy_(part.reshape(place.shape[1], -1, part.shape[-1]).transpose(0, 1))


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed: PackedPairs,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **others: object,
) -> tuple[Tensor, None]:
    scores = Scores(query.shape[-1] ** -0.5 if scaling is None else scaling, softcap)
    masks = packed.masks(sliding_window)
    out = PairAttention.apply(query, key, value, packed, masks, scores)  # type: ignore[no-untyped-call]
    return out, None


AttentionInterface.register(NAME, _attend)
