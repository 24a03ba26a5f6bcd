"""The config of a model in a GGUF file, with what the reader of transformers leaves out of it.

It drops the size of a head, the scale of Gemma's attention, the base of some rotary positions, and
how these are scaled. A model without them answers as another one does, and nothing says so. What
the file tells is put in here; a file that asks for what is not known here is refused.

Leaves out the architectures in KNOWN, whose positions transformers reads by itself.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig

from labeler.config.gguf import Content
from labeler.domain.errors import BadInput

FACTORS = "rope_freqs.weight"
KNOWN = ("gemma4", "gpt-oss", "minimax-m2", "qwen35", "qwen35moe")
# Gemmas of 27 billion weights are known by their layers, as llama.cpp knows them: attention is
# scaled by the width over the heads there, and by the size of a head elsewhere.
SCALED_BY_WIDTH = {"gemma2": 46, "gemma3": 62}
SLIDING_THETA = 10_000.0  # where a file of Gemma 3 does not tell it
CLOSE = 1e-4  # relative, between the factors of a file and those of the parameters found in them


def config_in(file: Path, content: Content) -> Any:
    """The config of the model in a file. Raises BadInput, or what transformers raises."""
    config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
    architecture = content.metadata["general.architecture"]
    if architecture in KNOWN:
        return config
    said = {
        key.removeprefix(f"{architecture}."): value
        for key, value in content.metadata.items()
        if key.startswith(f"{architecture}.")
    }
    if "attention.key_length" in said and hasattr(config, "head_dim"):
        config.head_dim = said["attention.key_length"]
    if hasattr(config, "query_pre_attn_scalar"):
        by_width = config.num_hidden_layers == SCALED_BY_WIDTH.get(architecture)
        width = config.hidden_size // config.num_attention_heads
        config.query_pre_attn_scalar = width if by_width else config.head_dim
    if getattr(config, "rope_parameters", None):
        try:
            _scale(config, said, _factors(file, content))
        except ValueError as error:
            raise BadInput(
                f"The GGUF file '{content.file}' has rotary positions that are not read here: "
                f"{error}; take the model's own folder or hub id instead."
            ) from error
    return config


def _factors(file: Path, content: Content) -> Tensor | None:
    """By how much a file slows each rotary frequency, (head / 2,). Raises ValueError."""
    if any(name.startswith("rope_factors_") for name in content.tensors):
        raise ValueError("they depend on the length of the text (LongRoPE)")
    if FACTORS not in content.tensors:
        return None
    from gguf import GGUFReader  # not there in every installation

    [stored] = (tensor for tensor in GGUFReader(file).tensors if tensor.name == FACTORS)
    return torch.tensor(stored.data).double()


def _scale(config: Any, said: dict[str, Any], factors: Tensor | None) -> None:
    """Put in the rotary positions that a file tells. Raises ValueError if they are not known."""
    rope = config.rope_parameters
    if "full_attention" in rope:
        if "sliding_attention" in rope:
            theta = said.get("rope.freq_base_swa", SLIDING_THETA)
            rope["sliding_attention"]["rope_theta"] = theta
        rope = rope["full_attention"]
    rope["rope_theta"] = said.get("rope.freq_base", rope["rope_theta"])
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    turned = int(head * rope.get("partial_rotary_factor", 1.0))
    if said.get("rope.dimension_count", turned) != turned:
        raise ValueError(f"{said['rope.dimension_count']} of the {head} numbers of a head turn")
    # Older files have a factor alone, which is that of linear scaling.
    kind = said.get("rope.scaling.type", "linear")
    factor = said.get("rope.scaling.factor") or said.get("rope.scale_linear") or 1.0
    if kind not in ("none", "linear"):
        raise ValueError(f"they are scaled in a way of their own ({kind})")
    scaled = kind == "linear" and factor != 1
    if scaled:
        rope |= {"rope_type": "linear", "factor": factor}
    if factors is not None and not bool((factors == 1).all()):
        if scaled:
            raise ValueError("they are scaled twice")
        rope |= llama3_of(factors, rope["rope_theta"])


def llama3_of(factors: Tensor, theta: float) -> dict[str, Any]:
    """The parameters of Llama 3's scaling, from what it makes of each frequency, (head / 2,).

    Long waves are `factor` times as long, and short ones as they were. Between them a share of the
    frequency s = (trained / wave - low) / (high - low) is kept as it was, which is a line in
    1 / wave; its slope and its offset give `trained` and `high`, where `low` is 1. Only their
    ratios matter. Raises ValueError if no parameters give these factors.
    """
    waves = 2 * math.pi * theta ** (torch.arange(len(factors)) / len(factors)).double()
    factor = float(factors.max())
    share = (1 / factors - 1 / factor) / (1 - 1 / factor)
    mixed = (share > CLOSE) & (share < 1 - CLOSE)
    if int(mixed.sum()) < 2:
        raise ValueError("their factors are not those of Llama 3")
    line = torch.stack([1 / waves[mixed], torch.ones_like(waves[mixed])], dim=1)
    slope, offset = torch.linalg.lstsq(line, share[mixed, None]).solution.flatten().tolist()
    trained, spread = round(-slope / offset), -1 / offset
    again = ((trained / waves - 1) / spread).clamp(0, 1)
    if not torch.allclose(1 / factors, (1 - again) / factor + again, rtol=CLOSE, atol=0):
        raise ValueError("their factors are not those of Llama 3")
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": round(1 + spread, 4),
        "original_max_position_embeddings": trained,
    }
