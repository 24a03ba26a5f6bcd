"""What fits into which memory, as a table: `python -m tests.support.what_fits`.

For each model the best way of using it that fits: first with plain weights and a sampling copy,
then without the copy, then packed; each first as it is, then with layers that are computed twice.
"""

from collections.abc import Iterator
from typing import Any

from transformers import AutoConfig

from trainer.policy.memory import Sizes, Use, needs, sizes_of, skeleton
from trainer.sampling.merged import SHARE_OF_FREE_MEMORY

GB = 1e9
MEMORIES = (8, 12, 24, 80)
RESERVED = 1.5 * GB  # CUDA's context, what its allocator cannot reuse, and the desktop
# A pair of 512 + 2 x 512 tokens is trained on at once, and 8 rows of 1024 columns are sampled.
TOKENS, ROWS, COLUMNS = 1536, 8, 1024
LLAMA, QWEN = {"model_type": "llama"}, {"model_type": "qwen2"}


def _shape(
    hidden: int, layers: int, heads: int, groups: int, wide: int, **more: Any
) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "intermediate_size": wide,
        "tie_word_embeddings": False,
        **more,
    }


TIED = {"tie_word_embeddings": True}
MODELS = {
    "SmolLM2-135M": LLAMA | _shape(576, 30, 9, 3, 1536, vocab_size=49_152) | TIED,
    "Qwen2.5-0.5B": QWEN | _shape(896, 24, 14, 2, 4864, vocab_size=151_936) | TIED,
    "Llama-3.2-1B": LLAMA | _shape(2048, 16, 32, 8, 8192, vocab_size=128_256) | TIED,
    "Qwen2.5-1.5B": QWEN | _shape(1536, 28, 12, 2, 8960, vocab_size=151_936) | TIED,
    "Llama-3.2-3B": LLAMA | _shape(3072, 28, 24, 8, 8192, vocab_size=128_256) | TIED,
    "Qwen2.5-7B": QWEN | _shape(3584, 28, 28, 4, 18_944, vocab_size=152_064),
    "Llama-3.1-8B": LLAMA | _shape(4096, 32, 32, 8, 14_336, vocab_size=128_256),
    "Qwen2.5-14B": QWEN | _shape(5120, 48, 40, 8, 13_824, vocab_size=152_064),
    "Qwen2.5-32B": QWEN | _shape(5120, 64, 40, 8, 27_648, vocab_size=152_064),
    "Llama-3.1-70B": LLAMA | _shape(8192, 80, 64, 8, 28_672, vocab_size=128_256),
}
WAYS = {
    "bfloat16, copy": ("bfloat16", "bfloat16"),
    "bfloat16": ("bfloat16", None),
    "int8": ("int8", None),
    "nf4": ("nf4", None),
}


def uses() -> Iterator[tuple[str, Use]]:
    """Every way of using a model, the best first."""
    for name, (dtype, copy) in WAYS.items():
        for twice in (False, True):
            words = f"{name}, twice" if twice else name
            yield words, Use(dtype, copy, TOKENS, ROWS, COLUMNS, checkpoints=twice)


def fits(sizes: Sizes, use: Use, memory: float) -> bool:
    """Whether it does, and whether the sampler would take the room for its copy."""
    found, room = needs(sizes, use), memory - RESERVED
    before_copy = room - found.base - found.adapters
    return found.total <= room and found.copy <= SHARE_OF_FREE_MEMORY * before_copy


def table() -> list[str]:
    """Its lines, as in the README."""
    lines = ["| model | " + " | ".join(f"{memory} GB" for memory in MEMORIES) + " |"]
    lines.append("|---" * (1 + len(MEMORIES)) + "|")
    for name, config in MODELS.items():
        sizes = sizes_of(skeleton(AutoConfig.for_model(**config)))
        best = [
            next((words for words, use in uses() if fits(sizes, use, memory * GB)), "–")
            for memory in MEMORIES
        ]
        lines.append(f"| {name} | " + " | ".join(best) + " |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
