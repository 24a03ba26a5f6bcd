"""Tiny random models of real architectures, built on the spot, and a made-up pair for the store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeler.config.settings import Settings
from labeler.domain.labels import LOGPS_AT
from labeler.store import Store
from labeler.store.records import NewPair

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>"]
# Settings under which every label trains at once, and the gate lets a random model pass.
EASY: dict[str, Any] = {
    "held_out_share": 0.0,
    "gate_prompts": 4,
    "gate_max_kl_live": 50.0,
    "gate_max_kl_reference": 50.0,
    "gate_max_length_change": 20.0,
    "gate_max_unfinished_rise": 1.0,
    "gate_max_repetition_rise": 1.0,
    "gate_max_agreement_drop": 1.0,
}
SAMPLED_BY_GENERATE = ("bloom", "gpt_oss", "lfm2", "rwkv", "recurrent_gemma")
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


def tiny_tokenizer() -> Any:
    """A byte-level BPE tokenizer with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["hello world, how do you make good tea?"], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>"
    )
    fast.chat_template = TEMPLATE
    return fast


def tiny_model(kind: str = "llama", context: int = 128) -> Any:
    """A random model with 2 layers, 32 wide.

    llama and qwen2 are plain, qwen3 normalises queries and keys, mistral has a sliding window of 16
    tokens, gemma2 has soft caps, a window in every other layer and tied embeddings, gpt2 has
    absolute positions. Those of SAMPLED_BY_GENERATE are what our decoder cannot take: bloom biases
    attention by distance, gpt_oss has sinks and experts, lfm2 convolutions, rwkv and
    recurrent_gemma a state.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    grouped = SIZE | {"intermediate_size": 64, "num_key_value_heads": 2}
    sizes: dict[str, Any] = {
        "llama": grouped,
        "qwen2": grouped,
        "qwen3": grouped | {"head_dim": 8},
        "mistral": grouped | {"sliding_window": 16},
        "gemma2": grouped | {"head_dim": 8, "sliding_window": 16, "query_pre_attn_scalar": 8},
        "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": context},
        "bloom": SIZE,
        "gpt_oss": grouped | {"num_local_experts": 4, "head_dim": 8, "sliding_window": 16},
        "lfm2": grouped | {"full_attn_idxs": [1]},
        "rwkv": {"hidden_size": 32, "num_hidden_layers": 2, "context_length": context},
        "recurrent_gemma": SIZE
        | {"num_hidden_layers": 3, "intermediate_size": 64, "lru_width": 32},
    }
    own = {} if kind in ("gpt2", "bloom", "rwkv") else {"max_position_embeddings": context}
    size = sizes[kind] | own
    config = AutoConfig.for_model(
        kind, vocab_size=320, eos_token_id=0, pad_token_id=1, bos_token_id=None, **size
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # a trained model's padding token is not zero
        model.get_input_embeddings().weight[1].normal_(0, 0.02)
    return model


def save_tiny_policy(folder: Path, kind: str = "llama", context: int = 128) -> Path:
    """Save model and tokenizer as a policy folder."""
    tiny_model(kind, context).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@dataclass
class Clock:
    """Time that moves so many seconds with every look."""

    now: float = 1000.0
    step: float = 1.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def worker_settings(policy: Path, folder: Path, **changed: Any) -> Settings:
    """Settings of a worker on a tiny policy, which learns enough to be seen in a step or two."""
    usual: dict[str, Any] = {"labels_per_update": 4, "max_new_tokens": 12, "lora_rank": 4}
    usual |= EASY | {"learning_rate": 1e-2, "passes": 2} | changed
    return Settings(policy=str(policy), data_dir=folder, **usual)


def fill(
    store: Store, pairs: int, *, prompts: int = 0, votes_wanted: int = 1, now: float = 1000.0
) -> None:
    """Put made-up pairs of version 0 into a new store; responses name their pair and side.

    There is a prompt for each, and there are `prompts` at least.
    """
    store.versions.adopt_base(base="test", fingerprint="test", now=now)
    questions = [f"Question {n}?" for n in range(max(pairs, prompts))]
    store.prompts.add([[{"role": "user", "content": text}] for text in questions], now=now)
    add_pairs(store, pairs, now=now, votes_wanted=votes_wanted)


def add_pairs(
    store: Store, pairs: int, *, version: int = 0, now: float = 1000.0, votes_wanted: int = 1
) -> None:
    """Queue more made-up pairs."""
    prompts = store.prompts.take(pairs)
    new = [made_up_pair(prompt.id or 0, version) for prompt in prompts]
    store.queue.add(new, now=now, votes_wanted=votes_wanted)


def made_up_pair(prompt_id: int, version: int) -> NewPair:
    """A pair whose response a is good and whose response b is bad."""
    return NewPair(
        prompt_id=prompt_id,
        version_id=version,
        response_a=f"good answer to {prompt_id}",
        response_b=f"bad answer to {prompt_id}",
        prompt_tokens=[3, 20, 0, 4],
        tokens_a=[21, 22, 0],
        tokens_b=[23, 24, 25, 0],
        finish_a="stop",
        finish_b="stop",
        reference_logp_a=-17.0,
        reference_logp_b=-23.0,
        sampling={
            "temperature": 1.0,
            "top_p": 1.0,
            "max_new_tokens": 16,
            "seed": 5,
            LOGPS_AT: 1.0,
            "sampling_dtype": "float32",
            "acquisition": "random",
        },
    )
