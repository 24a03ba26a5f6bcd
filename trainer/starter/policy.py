"""The starter's policy: a small Llama that learns the grammar's conversations.

Leaves out: any preference. It answers as varied as the grammar is, good and bad alike.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from trainer.starter.conversations import sample_conversation
from trainer.starter.grammar import score
from trainer.starter.settings import Sizes
from trainer.starter.tokenizer import encode, pad
from trainer.starter.training import bucket, fit, save_model

Encoded = tuple[list[int], list[int]]  # token ids, and 1 where the assistant speaks


@dataclass(frozen=True)
class PolicyFigures:
    """How a policy answers at temperature 1."""

    mean_score: float  # of `scoring.score`, whose range is [-4, 6]
    mean_tokens: float  # of a response, EOS included
    longest_tokens: int  # of a response that ended
    unfinished: float  # share of responses without EOS at the limit


def train_policy(tokenizer: PreTrainedTokenizerFast, sizes: Sizes, seed: int) -> LlamaForCausalLM:
    """Train a new model on fresh conversations, each seen once; loss on the assistant's tokens."""
    torch.manual_seed(seed)
    rng = random.Random(f"policy {seed}")
    model = LlamaForCausalLM(policy_config(tokenizer, sizes))
    drawing = tqdm(range(sizes.policy_conversations), desc="conversations", unit="")
    items = [encode(tokenizer, sample_conversation(rng)) for _ in drawing]
    batches = bucket(items, sizes.policy_batch, lambda item: len(item[0]), rng)

    def loss_of(batch: list[Encoded]) -> Tensor:
        return policy_loss(model, batch, tokenizer.pad_token_id)

    fit(model, batches, loss_of, sizes.policy_learning_rate, "policy")
    return model


def policy_config(tokenizer: PreTrainedTokenizerFast, sizes: Sizes) -> LlamaConfig:
    """Few key-value heads and few layers, because sampling on a CPU pays for each."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.policy_width,
        intermediate_size=sizes.policy_inner,
        num_hidden_layers=sizes.policy_layers,
        num_attention_heads=sizes.policy_heads,
        num_key_value_heads=sizes.policy_key_value_heads,
        max_position_embeddings=sizes.context_tokens,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def policy_loss(model: LlamaForCausalLM, batch: Sequence[Encoded], pad_id: int) -> Tensor:
    """Mean cross-entropy of the assistant's tokens. Padding is on the right: no mask needed."""
    ids = torch.tensor(pad([item[0] for item in batch], pad_id))  # [B, T]
    said = torch.tensor(pad([item[1] for item in batch], 0))  # [B, T]
    labels = ids.masked_fill(said == 0, -100)
    loss: Tensor = model(input_ids=ids, labels=labels).loss
    return loss


def save_policy(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> LlamaForCausalLM:
    """Write the model folder and return the model as a reader gets it, rounding included."""
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,  # off: sample from what the model says, as DPO assumes
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    save_model(model, folder)
    tokenizer.save_pretrained(folder)
    return LlamaForCausalLM.from_pretrained(folder)


@torch.inference_mode()
def respond(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    max_new_tokens: int,
) -> list[list[int]]:
    """Sample one response a prompt at temperature 1; token ids up to and including the EOS."""
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    inputs = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
    )
    sequences = model.generate(**inputs, max_new_tokens=max_new_tokens)
    rows = sequences[:, inputs["input_ids"].shape[1] :].tolist()
    return [cut(row, tokenizer.eos_token_id) for row in rows]


def cut(ids: list[int], end: int) -> list[int]:
    """Token ids up to and including the first `end`."""
    return ids[: ids.index(end) + 1] if end in ids else ids


def measure_policy(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    max_new_tokens: int,
    seed: int,
) -> PolicyFigures:
    """Score one response to each prompt."""
    torch.manual_seed(seed)
    rows: list[list[int]] = []
    for start in tqdm(range(0, len(prompts), 64), desc="measure policy", unit="batch"):
        rows += respond(model, tokenizer, prompts[start : start + 64], max_new_tokens)
    texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
    ended = [row for row in rows if row[-1] == tokenizer.eos_token_id]
    return PolicyFigures(
        mean_score=sum(map(score, prompts, texts)) / len(rows),
        mean_tokens=sum(map(len, rows)) / len(rows),
        longest_tokens=max(map(len, ended), default=0),
        unfinished=1 - len(ended) / len(rows),
    )
