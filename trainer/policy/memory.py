"""What a policy takes in memory, by arithmetic: whether it fits, before it is loaded or trained.

    base           the frozen weights
    copy           what is sampled from, where an adapter is merged in (`trainer.sampling.merged`)
    adapters       live, candidate and what the copy was made from; gradients and AdamW's two means
    activations    what a training pass keeps of its tokens
    cache          keys and values of the rows that are sampled at once

Counted from the layers of a model, which may be one without data (`skeleton`). Left out is what
does not grow with the model: Python and its libraries, some 0.4 GB, and on a GPU its context.
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from trainer.fast.memory import expert_widths, free_bytes, kept_bytes, layer_shapes

ADAPTER_BYTES = 4  # adapters are in float32 on any base
LIVE_CANDIDATE_AND_COPIED = 3
GRADIENT_AND_MEANS = 3
# Bytes of a packed weight. nf4: 4 bits, and 8 bits a block of 64 for its scale, and 32 bits for 256
# of these (Dettmers et al. 2023, "QLoRA", arXiv 2305.14314, section 3); int8: a scale for each row.
PACKED_BYTES = {"nf4": 0.5 + (1 + 4 / 256) / 64, "int8": 1.0}


@dataclass(frozen=True)
class Sizes:
    """What memory depends on. Weights are counted, not their bytes."""

    linear: int  # weights of the layers that carry LoRA
    widths: int  # their inputs and outputs, added up
    experts: int  # the same of the stacked experts that a token goes through
    head: int
    rest: int  # embeddings, norms, and a head of its own
    layers: int
    hidden: int
    cached: int  # numbers that a token keeps in the key-value cache


@dataclass(frozen=True)
class Use:
    """How a policy is used. `dtype` and `sampling_dtype` as the settings have them.

    No `sampling_dtype`: there is no merged copy. `rows` of so many `columns` are sampled at once,
    and so many `tokens` are trained on at once.
    """

    dtype: str
    sampling_dtype: str | None
    tokens: int
    rows: int
    columns: int
    rank: int = 16
    checkpoints: bool = False  # whether layers are computed again in the backward pass


@dataclass(frozen=True)
class Needs:
    """Bytes of each part."""

    base: float
    copy: float
    adapters: float
    activations: float
    cache: float

    @property
    def total(self) -> float:
        """All of it at once: what an update leaves of sampling stays where it is."""
        return self.base + self.copy + self.adapters + self.activations + self.cache


def skeleton(config: PreTrainedConfig) -> PreTrainedModel:
    """A model of this shape without data."""
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model


def sizes_of(base: PreTrainedModel) -> Sizes:
    """Count the layers of a model, with adapters or without; an expert in a stack is in `rest`."""
    config, shapes = base.config.get_text_config(), layer_shapes(base)
    head = base.get_output_embeddings().weight
    others = {
        id(weight): weight.numel()
        for name, module in base.named_modules()
        if not isinstance(module, (nn.Linear, Conv1D)) or module.weight is head
        for weight in module.parameters(recurse=False)
        if "lora_" not in name
    }
    heads = getattr(config, "num_attention_heads", 0)  # models with a state may have none
    groups = getattr(config, "num_key_value_heads", None) or heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // max(heads, 1)
    return Sizes(
        linear=sum(inputs * outputs for inputs, outputs in shapes),
        widths=sum(map(sum, shapes)),
        experts=expert_widths(base),
        head=head.numel(),
        rest=sum(others.values()),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        cached=2 * config.num_hidden_layers * groups * head_width,
    )


def needs(sizes: Sizes, use: Use) -> Needs:
    """Bytes of each part of a policy that is used so."""
    packed = PACKED_BYTES.get(use.dtype)
    plain = 2 if packed else _itemsize(use.dtype)
    copy = 0
    if use.sampling_dtype is not None:
        rounded = use.sampling_dtype != use.dtype
        copy = _itemsize(use.sampling_dtype) * (sizes.linear + (sizes.head if rounded else 0))
    adapter = ADAPTER_BYTES * use.rank * sizes.widths
    return Needs(
        base=(packed or plain) * sizes.linear + plain * sizes.rest,
        copy=copy,
        adapters=(LIVE_CANDIDATE_AND_COPIED + GRADIENT_AND_MEANS) * adapter,
        activations=use.tokens * _kept(sizes, plain, use.checkpoints),
        cache=use.rows * use.columns * sizes.cached * plain,
    )


def what_it_takes(base: PreTrainedModel, dtype: str, rank: int) -> str:
    """A sentence about a policy that has just been loaded in this dtype."""
    one = Use(dtype, sampling_dtype=None, tokens=1, rows=1, columns=1, rank=rank)
    found, gb = needs(sizes_of(base), one), 1e9
    return (
        f"The policy takes about {found.base / gb:.2f} GB, its adapters {found.adapters / gb:.2f} "
        f"GB as they train, and training {found.activations / 1e6:.1f} MB a token; "
        f"{free_bytes(base.device) / gb:.1f} GB are free."
    )


def _kept(sizes: Sizes, itemsize: int, checkpoints: bool) -> float:
    """Bytes of a token: with checkpoints, the input of each layer and all of one layer."""
    if not checkpoints:
        return kept_bytes(sizes.widths + sizes.experts, itemsize)
    one = kept_bytes((sizes.widths + sizes.experts) / sizes.layers, itemsize)
    return sizes.layers * sizes.hidden * itemsize + one


def _itemsize(dtype: str) -> int:
    size: int = getattr(torch, dtype).itemsize
    return size
