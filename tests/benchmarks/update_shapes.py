"""What an update is measured on: models, pairs, and how fast arithmetic alone would be."""

import itertools
import json
import math
import random
import statistics
import time
from pathlib import Path
from typing import Any

import torch

STARTER = Path("data/starter/policy")
GOALS = {"starter": (3.0, 0.6), "0.5b": (3.0, 0.3), "smollm2": (4.0, 0.5)}
GOALS |= {"gpu": (3.0, 0.3), "tiny": (1.0, 1.0)}
TRL_BATCHES = {"starter": (2, 4, 8, 16), "0.5b": (1, 2), "smollm2": (1, 2, 4)}
TRL_BATCHES |= {"gpu": (4, 16), "tiny": (2,)}
TRL_DTYPES = {"starter": ("float32",), "0.5b": ("float32",), "smollm2": ("float32", "bfloat16")}
TRL_DTYPES |= {"gpu": ("bfloat16",), "tiny": ("float32",)}
OUR_DTYPE = {"smollm2": "auto", "gpu": "bfloat16"}  # of the others: float32
BATCH_PAIRS = {"starter": 16, "0.5b": 2, "smollm2": 16, "gpu": 16, "tiny": 2}
PAIRS = {"starter": 256, "0.5b": 4, "smollm2": 64, "gpu": 64, "tiny": 2}
ROUNDS = {"starter": 3, "0.5b": 1, "smollm2": 1, "gpu": 2, "tiny": 1}
RANDOM: dict[str, dict[str, Any]] = {  # Qwen2.5-0.5B and Llama-3.2-1B
    "0.5b": {
        "model_type": "qwen2",
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
        "vocab_size": 151_936,
    },
    "1b": {
        "model_type": "llama",
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 8192,
        "vocab_size": 128_256,
    },
}
RANDOM["gpu"] = RANDOM["0.5b"]
RANDOM["tiny"] = {
    "model_type": "qwen2",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 1280,
}
# Tokens of a random pair: prompt, and each response.
SIZES = {
    "0.5b": (256, 128, 128),
    "gpu": (256, 128, 128),
    "tiny": (8, 6, 4),
    "smollm2": (64, 128, 128),
}
Pairs = list[tuple[list[int], list[int], list[int]]]


def model_folder(shape: str, folder: Path) -> Path:
    """The model of this shape; a random one is written into `folder`."""
    if shape == "starter":
        return STARTER
    if shape == "smollm2":
        from trainer.policy.gguf import unpacked

        return Path(unpacked(shape, lambda _: None))
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.for_model(
        **RANDOM[shape],
        tie_word_embeddings=True,
        max_position_embeddings=1024,
        eos_token_id=1,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(STARTER).save_pretrained(folder)
    return folder


def made_pairs(shape: str, count: int) -> Pairs:
    """Token ids: what the starter says to its own prompts, or random ones of a fixed size."""
    if shape != "starter":
        draw = random.Random(0)
        words = RANDOM[shape]["vocab_size"] if shape in RANDOM else 49_152
        return [
            tuple([draw.randrange(2, words) for _ in range(size)] for size in SIZES[shape])  # type: ignore[misc]
            for _ in range(count)
        ]
    from labeler.config.parts.model import Model
    from labeler.config.parts.sampling import Sampling
    from tests.support.samples import sample_pairs
    from trainer.policy.load import load_policy
    from trainer.policy.policy import LIVE
    from trainer.starter.grammar import prompts

    policy = load_policy(Model(policy=str(STARTER), device="cpu", dtype="float32"))
    asked = [policy.prompt_tokens([{"role": "user", "content": text}]) for text, _ in prompts()]
    chosen = random.Random(0).sample(asked, count)
    settings = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=256)
    with policy.adapter(LIVE):
        said = sample_pairs(policy, chosen, settings, seed=0)
    return [(prompt, a.tokens, b.tokens) for prompt, (a, b) in zip(chosen, said, strict=True)]


def flops_of_a_pair(pairs: Pairs, folder: Path) -> float:
    """Floating-point operations of one pair, on average, prompt shared and reference cached.

    A weight costs 2 forward and 2 for the gradient of its input; a frozen one has no gradient of
    its own. The head runs on response tokens only. Attention, norms and LoRA are left out.
    """
    config = json.loads((folder / "config.json").read_text())
    width, wide = config["hidden_size"], config["intermediate_size"]
    heads, keys = config["num_attention_heads"], config["num_key_value_heads"]
    head_width = config.get("head_dim") or width // heads
    layer = 2 * width * heads * head_width + 2 * width * keys * head_width + 3 * width * wide
    tokens = statistics.fmean(sum(map(len, pair)) for pair in pairs)
    said = statistics.fmean(len(a) + len(b) for _, a, b in pairs)
    return 4 * (tokens * layer * config["num_hidden_layers"] + said * width * config["vocab_size"])


def matmul_flops_per_second(*dtypes: torch.dtype, device: str = "cpu") -> float:
    """What the device does in the best product that torch offers of squares of 1024, or 8192."""
    from trainer.fast.matmul import linear

    best, side = math.inf, 1024 if device == "cpu" else 8192
    products = itertools.product(dtypes, (linear, torch.nn.functional.linear))
    for dtype, product in products:
        x, y = torch.randn(2, side, side, device=device).to(dtype)
        for _ in range(20):
            started = time.perf_counter()
            product(x, y)
            if device != "cpu":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best
