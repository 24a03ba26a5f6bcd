"""Layers that are computed again in the backward pass, so that a training pass keeps little.

    kept of each layer: its input          at once, as it is computed again: all of one layer

Chen et al. 2016, "Training deep nets with sublinear memory cost", arXiv 1604.06174. It costs a
second forward pass. A layer is computed again under the attention that it was computed under at
first, which `trainer.fast.attention` sets for the forward pass alone.
"""

from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


def compute_twice(base: PreTrainedModel) -> bool:
    """Let every layer of the model do so whenever gradients are wanted. False if it has no such."""
    layers = [part for part in base.modules() if isinstance(part, GradientCheckpointingLayer)]
    for layer in layers:
        layer.forward = partial(_forward, layer, base.config)
    return bool(layers)


def _forward(
    layer: GradientCheckpointingLayer, config: PreTrainedConfig, *args: Any, **kwargs: Any
) -> Any:
    if not torch.is_grad_enabled():
        return type(layer).forward(layer, *args, **kwargs)
    again = partial(_attending_as, layer, config, config._attn_implementation)
    return checkpoint(again, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)


def _attending_as(
    layer: GradientCheckpointingLayer,
    config: PreTrainedConfig,
    implementation: str | None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    before = config._attn_implementation
    config._attn_implementation = implementation
    try:
        return type(layer).forward(layer, *args, **kwargs)
    finally:
        config._attn_implementation = before
