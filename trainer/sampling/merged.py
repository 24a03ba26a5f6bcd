"""A second copy of the policy to sample from, with one adapter merged into its weights.

    W_copy = W + scaling B A        (Hu et al. 2021, "LoRA", arXiv 2106.09685, section 4.1)

Only the linear layers that the adapter changes have weights of their own; embeddings, norms and
head are the base's very tensors. A copy that multiplies in another dtype than the base has all its
linear layers to itself. The weights are always worked out anew from base and adapter:
merging into a base and taking it out again drifts, and peft's hot swap into a merged adapter does
nothing without a word (peft #3581).

Where weights are rounded, `trainer.fast.rounding` keeps what the adapter adds from being lost.
"""

import copy
from collections.abc import Callable

import torch
from peft import PeftModel
from peft.tuners.lora.layer import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

from trainer.fast.matmul import linear, packed
from trainer.fast.rounding import rounded

SHARE_OF_FREE_MEMORY = 0.5


class FastLinear(nn.Module):
    """A linear layer that takes no gradient, by the fastest product there is. Weight (out, in)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = weight
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return linear(x, self.weight, self.bias)


class MergedCopy:
    """A model that computes what the policy does under one adapter, and trains nothing."""

    def __init__(self, policy_model: PeftModel, dtype: torch.dtype | None = None) -> None:
        """Starts as the reference. All linear layers multiply in `dtype`; None: in their own.

        Raises ValueError if an adapter is more than plain LoRA.
        """
        base = policy_model.get_base_model()
        self.dtype = dtype
        sources = _lora_layers(base)
        shared = {id(tensor): tensor for tensor in (*base.parameters(), *base.buffers())}
        self.model: PreTrainedModel = copy.deepcopy(base, shared).eval()
        for module in self.model.modules():
            vars(module).pop("forward", None)  # what was put there to train; the class's is left
        self._layers = [
            (source, FastLinear(_base(source), _bias(source))) for source in sources.values()
        ]
        for name, (_, layer) in zip(sources, self._layers, strict=True):
            self.model.set_submodule(name, layer)
        for name, module in list(self.model.named_modules()):
            if type(module) is nn.Linear:
                weight = (
                    module.weight if dtype is None else packed(module.weight.detach().to(dtype))
                )
                self.model.set_submodule(name, FastLinear(weight, module.bias))
        for source, layer in () if dtype is None else self._layers:
            layer.weight = packed(_base(source).to(dtype))
        self._made_from: tuple[str | None, list[Tensor]] | None = None, []

    def refresh(self, adapter: str | None, pause: Callable[[], None] | None = None) -> bool:
        """Become this adapter as it is now, or the reference if None. False if it was already.

        There is a `pause` before each layer; after one that raises the copy is nothing.
        """
        if self.holds(adapter):
            return False
        self._made_from = None
        for source, layer in self._layers:
            if pause is not None:
                pause()
            layer.weight = packed(_merged_in(self.dtype or _base(source).dtype, source, adapter))
        self._made_from = adapter, [tensor.clone() for tensor in self._state(adapter)]
        return True

    def holds(self, adapter: str | None) -> bool:
        """Whether the copy was made from this adapter with the weights that it has now."""
        if self._made_from is None:
            return False
        name, state = self._made_from
        return name == adapter and all(map(torch.equal, state, self._state(adapter)))

    def _state(self, adapter: str | None) -> list[Tensor]:
        """What the adapter adds: A and B of every layer."""
        if adapter is None:
            return []
        return [factor for source, _ in self._layers for factor in _factors(source, adapter)]


def copy_bytes(policy_model: PeftModel, dtype: torch.dtype | None = None) -> int:
    """What a merged copy would take: the weights that adapters change, or all in another dtype."""
    base = policy_model.get_base_model()
    changed = [_base(source) for source in _lora_layers(base).values()]
    if dtype is None:
        return sum(weight.nbytes for weight in changed)
    kept = [
        module.weight
        for name, module in base.named_modules()
        if type(module) is nn.Linear and not any(part in name for part in (".base_layer", "lora_"))
    ]
    return dtype.itemsize * sum(weight.numel() for weight in (*changed, *kept))


def copy_fits(policy_model: PeftModel, free: int, dtype: torch.dtype | None = None) -> bool:
    """Whether a merged copy leaves enough of `free` bytes for training and a key-value cache."""
    return copy_bytes(policy_model, dtype) <= SHARE_OF_FREE_MEMORY * free


def _lora_layers(base: PreTrainedModel) -> dict[str, LoraLinear]:
    """The layers that adapters change, by name. Raises ValueError if one is not plain LoRA."""
    layers = {}
    for name, module in base.named_modules():
        if not isinstance(module, BaseTunerLayer):
            continue
        plain = isinstance(module, LoraLinear) and not module.lora_variant
        if not plain or any(module.lora_bias.values()):
            raise ValueError(f"its layer {name} is no plain LoRA on a linear layer")
        layers[name] = module
    return layers


def _base(source: LoraLinear) -> Tensor:
    """The frozen weight (out, in); GPT-2 keeps it the other way round."""
    weight: Tensor = source.get_base_layer().weight.detach()
    return weight.t() if source.fan_in_fan_out else weight


def _bias(source: LoraLinear) -> Tensor | None:
    bias: Tensor | None = source.get_base_layer().bias
    return bias


def _factors(source: LoraLinear, adapter: str) -> tuple[Tensor, Tensor]:
    """The adapter's A (rank, in) and B (out, rank)."""
    return source.lora_A[adapter].weight.detach(), source.lora_B[adapter].weight.detach()


def _merged(source: LoraLinear, adapter: str | None) -> Tensor:
    """Base and adapter in one weight (out, in), computed in float32."""
    base = _base(source).float()
    if adapter is None:
        return base
    a, b = _factors(source, adapter)
    return torch.addmm(base, b.float(), a.float(), alpha=source.scaling[adapter])


def _merged_in(dtype: torch.dtype, source: LoraLinear, adapter: str | None) -> Tensor:
    """The same, rounded. By lot where the base is not: then what the adapter adds would be lost."""
    base, merged = _base(source), _merged(source, adapter)
    if adapter is None or not torch.equal(base.to(dtype).float(), base.float()):
        return merged.to(dtype)
    return rounded(merged, dtype)
