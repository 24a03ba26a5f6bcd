"""Tiny GGUF files, written as llama.cpp's converter writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize

from tests.support.tiny import TEMPLATE, tiny_model, tiny_tokenizer

PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(
    file: Path,
    *,
    packing: str = "F32",
    template: str | None = TEMPLATE,
    architecture: str = "llama",
    split: str = "smollm",
    without: str = "",
    extra: dict[str, int] | None = None,
    **more: int | float | str,
) -> Path:
    """Write the tiny Llama and its tokenizer as a GGUF file.

    Matrices are stored as `packing`, and `split` names the rule by which text is split. `without`
    names a tensor that is left out, `extra` has further ones with their sizes, and `more` are
    further numbers and words among the metadata, by their names with `__` for dots.
    """
    writer = GGUFWriter(file, architecture)
    model = tiny_model()
    _write_sizes(writer, model.config)
    _write_vocabulary(writer, model.config.vocab_size, split)
    if template is not None:
        writer.add_chat_template(template)
    for name, value in more.items():
        key = name.replace("__", ".")
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)
    for name, weight in model.state_dict().items():
        if (stored := _tensor_name(name)) != without:
            _write_tensor(writer, stored, _as_stored(stored, weight.numpy(), model.config), packing)
    for name, size in (extra or {}).items():
        writer.add_tensor(name, np.ones(size, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _write_sizes(writer: GGUFWriter, config: Any) -> None:
    writer.add_name("Tiny")
    writer.add_license("apache-2.0")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _write_vocabulary(writer: GGUFWriter, size: int, split: str) -> None:
    tokenizer = tiny_tokenizer()
    spelled = {number: token for token, number in tokenizer.get_vocab().items()}
    kinds = dict.fromkeys(spelled, TokenType.NORMAL)
    kinds |= dict.fromkeys(tokenizer.added_tokens_decoder, TokenType.CONTROL)
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list([spelled.get(number, f"[PAD{number}]") for number in range(size)])
    writer.add_token_types([kinds.get(number, TokenType.UNUSED) for number in range(size)])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)


def _tensor_name(name: str) -> str:
    """What llama.cpp calls a weight."""
    outer = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in outer:
        return outer[name]
    _, _, layer, part = name.removesuffix(".weight").split(".", maxsplit=3)
    return f"blk.{layer}.{PARTS[part]}.weight"


def _as_stored(name: str, weight: np.ndarray, config: Any) -> np.ndarray:
    """llama.cpp pairs a head's rotated dimensions as neighbours, transformers as halves."""
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    part = name.split(".")[-2]
    if part not in heads:
        return weight
    rows, columns = weight.shape
    halves = weight.reshape(heads[part], 2, rows // heads[part] // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))


def _write_tensor(writer: GGUFWriter, name: str, weight: np.ndarray, packing: str) -> None:
    kind = GGMLQuantizationType[packing]
    if weight.ndim == 1 or kind is GGMLQuantizationType.F32:
        writer.add_tensor(name, weight.astype(np.float32))
    else:
        writer.add_tensor(name, quantize(weight, kind), raw_dtype=kind)
