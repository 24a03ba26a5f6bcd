"""Tiny random policies of many architectures: what people bring, as small as it can be built."""

from pathlib import Path
from typing import Any

from tests.support.tiny import tiny_tokenizer

CONTEXT = 128
VOCABULARY = 320
TOKENS: dict[str, Any] = {"eos_token_id": 0, "pad_token_id": 1, "bos_token_id": None}
WIDE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
GATED = WIDE | {"intermediate_size": 64, "num_key_value_heads": 2}
EXPERTS = GATED | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT = GATED | {
    "num_key_value_heads": 4,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
CHUNKS = {"mamba_chunk_size": 16, "chunk_size": 16}
HYBRID = (
    GATED
    | CHUNKS
    | {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1}
)
SHARED = {"mamba_ngroups": 1, "n_mamba_heads": 4, "layers_block_type": ["mamba", "hybrid"]}
SLIDING = {"sliding_window": 16}
HEADS = {"head_dim": 8}
VISION = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "image_size": 16}

# What each architecture is told besides the vocabulary, the context and the special tokens.
DENSE: dict[str, dict[str, Any]] = {
    "llama": GATED,
    "mistral": GATED | SLIDING,
    "qwen2": GATED,
    "qwen3": GATED | HEADS,
    "gemma": GATED | HEADS,
    "gemma2": GATED | HEADS | SLIDING | {"query_pre_attn_scalar": 8},
    "gemma3_text": GATED | HEADS | SLIDING | {"query_pre_attn_scalar": 8},
    "phi": WIDE | {"intermediate_size": 64},
    "phi3": GATED,
    "gpt2": GPT,
    "gpt_neo": {
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 16,
    },
    "gpt_neox": WIDE | {"intermediate_size": 64},
    "gptj": GPT | {"rotary_dim": 4},
    "gpt_bigcode": GPT,
    "opt": WIDE | {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": WIDE,
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": CONTEXT},
    "stablelm": GATED,
    "olmo": GATED,
    "olmo2": GATED,
    "olmo3": GATED | SLIDING,
    "starcoder2": GATED,
    "cohere": GATED,
    "cohere2": GATED | SLIDING,
    "granite": GATED,
    "smollm3": GATED,
    "glm": GATED | HEADS,
    "glm4": GATED | HEADS,
    "ernie4_5": GATED | HEADS,
    "exaone4": GATED | SLIDING,
    "nemotron": GATED,
    "helium": GATED | HEADS,
    "seed_oss": GATED | HEADS,
}
MIXTURES: dict[str, dict[str, Any]] = {
    "mixtral": GATED | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2_moe": EXPERTS | {"shared_expert_intermediate_size": 16},
    "qwen3_moe": EXPERTS | HEADS,
    "olmoe": EXPERTS,
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT,
    "gpt_oss": GATED | HEADS | SLIDING | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "granitemoe": GATED | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "phimoe": GATED | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "jetmoe": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "kv_channels": 8,
        "intermediate_size": 64,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    "llama4_text": GATED | HEADS | {"intermediate_size_mlp": 64, "num_local_experts": 2},
}
STATEFUL: dict[str, dict[str, Any]] = {
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    "mamba2": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 8,
        "num_heads": 8,
        "head_dim": 8,
        "n_groups": 1,
        "chunk_size": 16,
    },
    "falcon_mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    "rwkv": {"hidden_size": 32, "num_hidden_layers": 2, "context_length": CONTEXT},
    "recurrent_gemma": GATED
    | {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 16},
    "falcon_h1": HYBRID | {"mamba_d_ssm": 64},
    "zamba2": HYBRID | SHARED,
    "bamba": HYBRID | {"attn_layer_indices": [1]},
    "lfm2": GATED | {"layer_types": ["conv", "full_attention"]},
    "jamba": GATED
    | {"num_experts": 4, "num_experts_per_tok": 2, "attn_layer_period": 2, "attn_layer_offset": 1},
    "qwen3_next": EXPERTS
    | HEADS
    | {
        "shared_expert_intermediate_size": 16,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    },
}
ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
SEEING: dict[str, dict[str, Any]] = {
    "gemma3": {
        "text_config": DENSE["gemma3_text"],
        "vision_config": VISION | {"intermediate_size": 64, "patch_size": 8},
        "mm_tokens_per_image": 4,
    },
    "llava": {
        "text_config": GATED | {"model_type": "llama"},
        "vision_config": VISION
        | {"model_type": "clip_vision_model", "intermediate_size": 64, "patch_size": 8},
        "image_token_id": 2,
    },
    "qwen3_5": {
        "text_config": STATEFUL["qwen3_next"]
        | {"rope_parameters": ROPE | {"partial_rotary_factor": 1.0}},
        "vision_config": VISION | {"depth": 1, "out_hidden_size": 32, "num_heads": 4},
    },
    "qwen2_vl": {
        "text_config": GATED | {"rope_parameters": ROPE},
        "vision_config": {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 4},
    },
}
TRANSLATING: dict[str, dict[str, Any]] = {
    "bart": {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1},
    "t5": {"d_model": 32, "num_layers": 1, "d_ff": 32, "num_heads": 4, "d_kv": 8},
}
ALL = DENSE | MIXTURES | STATEFUL | SEEING | TRANSLATING


def tiny_of(kind: str) -> Any:
    """A random model of this architecture."""
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        AutoModelForSeq2SeqLM,
    )

    usual = {
        "vocab_size": VOCABULARY,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.1,
    } | TOKENS
    told = ALL[kind]
    if kind in SEEING:
        told = told | {"text_config": usual | told["text_config"]}
        auto = AutoModelForImageTextToText
        usual = TOKENS
    else:
        auto = AutoModelForSeq2SeqLM if kind in TRANSLATING else AutoModelForCausalLM
    if kind in TRANSLATING:
        usual["decoder_start_token_id"] = 1
    config = AutoConfig.for_model(kind, **(usual | told))
    torch.manual_seed(0)
    return auto.from_config(config)


def save_policy(folder: Path, kind: str) -> Path:
    """Model and tokenizer as a policy folder."""
    tiny_of(kind).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def logps_of(model: Any, rows: list[tuple[list[int], list[int]]]) -> list[float]:
    """Summed log-probabilities of responses to prompts, each in a row of its own, by hand."""
    import torch

    found = []
    for prompt, response in rows:
        with torch.no_grad():
            logits = model(torch.tensor([prompt + response]), use_cache=False).logits
        logps = logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
        found.append(sum(logps[n, token].item() for n, token in enumerate(response)))
    return found
