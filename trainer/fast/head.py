"""Log-probabilities of response tokens from the last hidden states, through a frozen LM head.

Logits over a whole vocabulary are the largest tensor of an update: 256 tokens of 151,936 words
take 156 MB in float32, and as much again for each step of the softmax. Here they exist for one
block of the vocabulary at a time, and none is kept. The gradient of a frozen head needs one number
from later on, so all else is worked out in the same pass over the blocks, with the sums rescaled
when a larger logit turns up (as in flash attention, Dao et al. 2022, arXiv 2205.14135, alg. 1):

    logp_t = z_t[y_t] - log sum_v exp(z_t[v])            z_t = f(W h_t + b), f = soft cap or nothing
    d logp_t / d h_t = f'(z_t[y_t]) W[y_t] - sum_v softmax(z_t)[v] f'(z_t[v]) W[v]

At a temperature other than 1 f also divides by it. Logits are products in float32 whatever the
dtype of the weights, unless a training pass asks for less: a small step changes log-probabilities
by less than a rounded logit can tell.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from trainer.fast.matmul import linear

BLOCK_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Head:
    """The frozen output layer of a causal language model: logits = cap(W h + b) / temperature."""

    weight: Tensor  # (V, D)
    bias: Tensor | None  # (V,)
    softcap: float | None
    temperature: float = 1.0
    block_bytes: int = BLOCK_BYTES
    products: torch.dtype | None = None  # in which it multiplies if a gradient is wanted

    def token_logps(self, hidden_TD: Tensor, targets_T: Tensor) -> Tensor:
        """Log-probability of each target (T,), in float32 nats; differentiable in `hidden_TD`."""
        logps: Tensor = _TokenLogps.apply(hidden_TD, targets_T, self)  # type: ignore[no-untyped-call]
        return logps

    def blocks(self, tokens: int) -> list[slice]:
        """Parts of the vocabulary whose logits for so many tokens fit into `block_bytes`."""
        words = len(self.weight)
        size = max(1, self.block_bytes // (4 * tokens))
        return [slice(first, min(first + size, words)) for first in range(0, words, size)]

    def logits(
        self, hidden_TD: Tensor, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Logits (T, block) in float32, and the slope of the soft cap there, if there is one.

        `weight` and `bias` are those of a block of the vocabulary.
        """
        if hidden_TD.dtype == weight.dtype:  # a logit of 20 in bfloat16 is off by up to 0.06
            hidden_TD, weight = hidden_TD.float(), weight.float()
            bias = None if bias is None else bias.float()
        raw = linear(hidden_TD, weight, bias).float()
        if self.softcap is None:
            return raw.div_(self.temperature), None
        capped = raw.div_(self.softcap).tanh_()
        slope = 1 - capped.square()
        return capped.mul_(self.softcap / self.temperature), slope


def head_of(
    base: PreTrainedModel, temperature: float = 1.0, products: torch.dtype | None = None
) -> Head:
    """The head of a model; whether its logits are these is for the caller to check."""
    output = base.get_output_embeddings()
    softcap = getattr(base.config.get_text_config(), "final_logit_softcapping", None)
    return Head(output.weight, output.bias, softcap, temperature, products=products)


class _Sums:
    """Running sums over the vocabulary for T tokens, relative to the largest logit so far."""

    def __init__(self, hidden_TD: Tensor, needs_gradient: bool) -> None:
        tokens = hidden_TD.shape[0]
        self.largest_T1 = hidden_TD.new_full((tokens, 1), float("-inf"), dtype=torch.float32)
        self.total_T1 = hidden_TD.new_zeros((tokens, 1), dtype=torch.float32)
        self.mean_TD = torch.zeros_like(hidden_TD, dtype=torch.float32) if needs_gradient else None

    def add(self, logits: Tensor, slope: Tensor | None, weight: Tensor) -> None:
        """Take in one block; overwrites `logits`."""
        largest_T1 = torch.maximum(self.largest_T1, logits.amax(1, keepdim=True))
        shrink_T1 = (self.largest_T1 - largest_T1).exp_()
        terms = logits.sub_(largest_T1).exp_()
        self.total_T1.mul_(shrink_T1).add_(terms.sum(1, keepdim=True))
        self.largest_T1 = largest_T1
        if self.mean_TD is not None:
            if slope is not None:
                terms.mul_(slope)
            self.mean_TD.mul_(shrink_T1).add_(linear(terms, weight.T))

    def log_total(self) -> Tensor:
        """log sum_v exp(z[v]), (T,)."""
        return (self.total_T1.log() + self.largest_T1).squeeze(1)


class _TokenLogps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_TD: Tensor, targets_T: Tensor, head: Head) -> Tensor:
        sums = _Sums(hidden_TD, ctx.needs_input_grad[0])
        chosen_T = sums.total_T1.new_empty(len(targets_T))
        slope_T = torch.ones_like(chosen_T)
        for block in head.blocks(len(targets_T)):
            weight = head.weight[block]
            if ctx.needs_input_grad[0]:
                weight = weight.to(head.products or weight.dtype)
            bias = None if head.bias is None else head.bias[block]
            logits, slope = head.logits(hidden_TD, weight, bias)
            rows = ((targets_T >= block.start) & (targets_T < block.stop)).nonzero().squeeze(1)
            words = targets_T[rows] - block.start
            chosen_T[rows] = logits[rows, words]
            if slope is not None:
                slope_T[rows] = slope[rows, words]
            sums.add(logits, slope, weight)
        if sums.mean_TD is not None:
            chosen_TD = head.weight[targets_T] * slope_T[:, None]
            gradient_TD = chosen_TD - sums.mean_TD.div_(sums.total_T1)
            ctx.save_for_backward(gradient_TD.div_(head.temperature))
            ctx.dtype = hidden_TD.dtype
        return chosen_T - sums.log_total()

    @staticmethod
    def backward(ctx: Any, to_logps_T: Tensor) -> tuple[Tensor, None, None]:
        (gradient_TD,) = ctx.saved_tensors
        return (gradient_TD * to_logps_T[:, None]).to(ctx.dtype), None, None
