"""A model as a GGUF file, as llama.cpp's converter lays it out: sizes, vocabulary, weights.

Matrices are written in half precision or in blocks of eight bits, vectors in single precision. One
tensor at a time is packed, so that the file takes no memory. Only what can be read again by another
library is written; `refuse_unknown` says what is to be done about the others.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import (
    GGML_QUANT_VERSION,
    GGMLQuantizationType,
    GGUFWriter,
    LlamaFileType,
    RopeScalingType,
    get_tensor_name_map,
)
from gguf.constants import MODEL_ARCH, MODEL_ARCH_NAMES
from gguf.quants import quant_shape_to_byte_shape, quantize
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedModel

from labeler.domain.errors import LivedpoError
from trainer.fast.rounding import rounded
from trainer.programs.outgoing.gguf_vocabulary import Vocabulary, write_vocabulary

# By the type of a model in transformers.
ARCHITECTURES = {
    "llama": MODEL_ARCH.LLAMA,
    "mistral": MODEL_ARCH.LLAMA,
    "qwen2": MODEL_ARCH.QWEN2,
    "qwen3": MODEL_ARCH.QWEN3,
    "gemma": MODEL_ARCH.GEMMA,
    "gemma2": MODEL_ARCH.GEMMA2,
    "gemma3_text": MODEL_ARCH.GEMMA3,
}
GEMMAS = {MODEL_ARCH.GEMMA, MODEL_ARCH.GEMMA2, MODEL_ARCH.GEMMA3}
ROPES = ("default", "linear", "llama3")
PACKINGS = {
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
BLOCK = 32  # weights that Q8_0 packs together; rows of another length stay in half precision
MAX_F16 = 65504.0


def objection(config: Any) -> str | None:
    """Why a model of this config is not written here; None if it is."""
    kind = config.model_type
    if kind not in ARCHITECTURES:
        return f"the architecture {kind} is not among those that are written here"
    rope = rope_of(config)
    if rope["rope_type"] not in ROPES:
        return f"its rotary positions are scaled in a way ({rope['rope_type']}) that is not"
    if config.to_dict().get("attention_bias") or config.to_dict().get("mlp_bias"):
        return "it has biases that readers leave out"
    scale = config.to_dict().get("query_pre_attn_scalar")
    if scale is not None and scale != _head_size(config):
        return f"it scales attention by {scale}, which a file cannot tell"
    return None


def write_gguf(
    file: Path, model: PreTrainedModel, vocabulary: Vocabulary, *, packing: str, name: str
) -> None:
    """Write the model and its vocabulary. Raises LivedpoError, or OSError (disk full)."""
    config = model.config
    kind, of_file = PACKINGS[packing]
    architecture = ARCHITECTURES[config.model_type]
    writer = GGUFWriter(file, MODEL_ARCH_NAMES[architecture])
    writer.add_name(name)
    writer.add_file_type(of_file)
    writer.add_quantization_version(GGML_QUANT_VERSION)
    _write_sizes(writer, config, rows=len(model.get_input_embeddings().weight))
    write_vocabulary(writer, vocabulary)

    weights = dict(_named(model, architecture))
    for stored, weight in weights.items():
        _announce(writer, stored, tuple(weight.shape), _kind(tuple(weight.shape), kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    hidden = not sys.stderr.isatty()
    for stored, weight in tqdm(weights.items(), desc=file.name, unit="tensor", disable=hidden):
        values = _as_stored(stored, weight, config, architecture)
        writer.write_tensor_data(_packed(stored, values, _kind(values.shape, kind)))
    writer.close()


def _write_sizes(writer: GGUFWriter, config: Any, *, rows: int) -> None:
    heads, head, rope = config.num_attention_heads, _head_size(config), rope_of(config)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(rows)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if config.model_type in ("gemma2", "gemma3_text"):
        writer.add_sliding_window(config.sliding_window)
    if config.model_type == "gemma3_text":
        writer.add_rope_freq_base_swa(rope_of(config, "sliding_attention")["rope_theta"])
    if config.model_type == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def _named(model: PreTrainedModel, architecture: MODEL_ARCH) -> Iterator[tuple[str, Tensor]]:
    """The weights by llama.cpp's names. Raises LivedpoError for one that has none."""
    names = get_tensor_name_map(architecture, model.config.num_hidden_layers)
    tied = model.config.tie_word_embeddings
    for name, weight in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if stored is None:
            raise LivedpoError(f"A GGUF file has no place for the policy's weight {name}.")
        yield stored, weight
    factors = rope_factors(model.config)
    if factors is not None:
        yield "rope_freqs.weight", factors


def rope_factors(config: Any) -> Tensor | None:
    """By how much Llama 3 slows each rotary frequency, (head / 2,); None for other scalings.

    Long waves are stretched by `factor`, short ones stay, and those between are mixed.
    """
    import torch

    rope = rope_of(config)
    if rope["rope_type"] != "llama3":
        return None
    size, trained = _head_size(config), rope["original_max_position_embeddings"]
    waves = 2 * torch.pi * rope["rope_theta"] ** (torch.arange(0, size, 2) / size)
    low, high, factor = (rope[key] for key in ("low_freq_factor", "high_freq_factor", "factor"))
    mixed = (trained / waves - low) / (high - low)
    share = mixed.clamp(0, 1)
    factors: Tensor = (1 / ((1 - share) / factor + share)).float()
    return factors


def _as_stored(
    name: str, weight: Tensor, config: Any, architecture: MODEL_ARCH
) -> np.ndarray[Any, Any]:
    """In float32, as llama.cpp wants it.

    For Llama it pairs a head's rotated dimensions as neighbours, transformers as halves. Gemma's
    norms are stored as the factors that they are.
    """
    values: np.ndarray[Any, Any] = weight.detach().float().cpu().numpy()
    if architecture in GEMMAS and name.endswith("norm.weight"):
        return values + 1
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    part = name.split(".")[-2]
    if architecture is not MODEL_ARCH.LLAMA or part not in heads:
        return values
    halves = values.reshape(heads[part], 2, -1, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def _kind(shape: tuple[int, ...], wanted: GGMLQuantizationType) -> GGMLQuantizationType:
    """What a tensor of this shape is stored as."""
    if len(shape) == 1:
        return GGMLQuantizationType.F32
    whole = wanted is not GGMLQuantizationType.Q8_0 or shape[-1] % BLOCK == 0
    return wanted if whole else GGMLQuantizationType.F16


def _announce(
    writer: GGUFWriter, name: str, shape: tuple[int, ...], kind: GGMLQuantizationType
) -> None:
    """Put a tensor into the table at the front of the file."""
    if kind is GGMLQuantizationType.Q8_0:
        size = quant_shape_to_byte_shape(shape, kind)
        writer.add_tensor_info(name, size, np.dtype(np.uint8), int(np.prod(size)), raw_dtype=kind)
        return
    dtype = np.dtype(np.float32 if kind is GGMLQuantizationType.F32 else np.float16)
    writer.add_tensor_info(name, shape, dtype, int(np.prod(shape)) * dtype.itemsize)


def _packed(
    name: str, values: np.ndarray[Any, Any], kind: GGMLQuantizationType
) -> np.ndarray[Any, Any]:
    """The bytes of a tensor. Raises LivedpoError if half precision does not hold it."""
    if kind is GGMLQuantizationType.Q8_0:
        return quantize(values, kind)
    if kind is GGMLQuantizationType.F32:
        return values
    if not np.abs(values).max() <= MAX_F16:
        raise LivedpoError(f"The policy's weight {name} is too large for half precision.")
    halves: np.ndarray[Any, Any] = rounded(torch.from_numpy(values), torch.float16).numpy()
    return halves


def _head_size(config: Any) -> int:
    return int(config.to_dict().get("head_dim") or config.hidden_size // config.num_attention_heads)


def rope_of(config: Any, layers: str = "full_attention") -> dict[str, Any]:
    """The rotary positions, of these layers where there are two kinds."""
    rope: dict[str, Any] = config.rope_parameters
    of_layers: dict[str, Any] = rope.get(layers, rope)
    return {"rope_type": "default"} | of_layers
