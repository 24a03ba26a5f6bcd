"""Pairs of another model, as the usual static preference file holds them.

Another Llama of the grammar, half as wide, a layer less, trained on under a third as many
conversations with another seed: what it says is like the starter's, less fluent, and its own.
Votes are not in the file: the simulated rater gives them, as on any other pair.
"""

import json
import random
from pathlib import Path

import torch
from transformers import AutoTokenizer

from labeler.config.starter import STARTER_POLICY
from tests.benchmarks.evidence.world import Place, World
from trainer.policy.policy import LIVE
from trainer.starter.policy import save_policy, train_policy
from trainer.starter.settings import THREADS, Sizes

OTHER = Sizes(policy_width=128, policy_layers=3, policy_inner=384, policy_conversations=8_000)
SEED = 1
PAIRS = 2048


def static_file(folder: Path) -> Path:
    """The file in this folder, which is made if it is not there."""
    path = folder / "static.jsonl"
    if not path.is_file():
        model = folder / "other-model"
        if not (model / "model.safetensors").is_file():
            train_other(model)
        write_pairs(model, path)
    return path


def train_other(folder: Path) -> None:
    """Train the other model, in a minute or two."""
    torch.set_num_threads(THREADS)
    tokenizer = AutoTokenizer.from_pretrained(STARTER_POLICY)
    save_policy(train_policy(tokenizer, OTHER, SEED), tokenizer, folder)


def write_pairs(model: Path, path: Path) -> None:
    """Let it answer each prompt twice, as often as it takes; the file is there whole or not."""
    world = World(Place(policy=str(model), threads=THREADS))
    pairs = world.sample(LIVE, world.prompts(SEED), PAIRS, seed=SEED)
    rng = random.Random(SEED)
    lines = []
    for pair in pairs:
        a, b = rng.sample([pair.question.first, pair.question.second], 2)
        row = {"prompt": pair.question.messages, "chosen": a, "rejected": b}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    partial = path.with_suffix(".partial")
    partial.write_text("".join(lines), encoding="utf-8")
    partial.rename(path)
