"""What policies of some shapes take at most: `python -m tests.support.peak_memory`.

Each shape is measured in a process of its own, a fork of one that has loaded all libraries: it
loads a policy with made-up weights, samples, and makes an update. Prints a JSON object: for each
shape the kernel's high-water mark, less what the libraries took, in bytes.
"""

import json
import os
import random
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.initialization import no_init_weights

from labeler.config.parts.sampling import Sampling
from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from tests.support.tiny import tiny_tokenizer
from trainer.learning.update import train
from trainer.policy.memory import Use
from trainer.policy.policy import LIVE, Policy
from trainer.sampling.local import LocalSampler

TIED = {"tie_word_embeddings": True, "max_position_embeddings": 2048, "eos_token_id": 1}
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {  # 34 million weights
        "model_type": "llama",
        "hidden_size": 512,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "intermediate_size": 1536,
        "vocab_size": 16_384,
    },
    "small": {  # SmolLM2-135M with a third of its layers and words
        "model_type": "llama",
        "hidden_size": 576,
        "num_hidden_layers": 10,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 16_384,
    },
    "medium": {  # Qwen2.5-0.5B with a sixth of its layers and a tenth of its words
        "model_type": "qwen2",
        "hidden_size": 896,
        "num_hidden_layers": 4,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
        "vocab_size": 16_384,
    },
}
PROMPT, NEW_TOKENS, PROMPTS, TRAINED = 64, 8, 8, 256
ROWS = 2 * PROMPTS
DTYPES = {"tiny": ("float32", "float32"), "small": ("float32", "bfloat16")}
DTYPES["medium"] = ("float32", "float32")
USES = {
    name: Use(
        dtype=dtype,
        sampling_dtype=sampling,
        tokens=TRAINED,
        rows=ROWS,
        columns=PROMPT + NEW_TOKENS,
    )
    for name, (dtype, sampling) in DTYPES.items()
}


def held(kind: str) -> int:
    """Bytes of this process by the kernel's account: VmRSS now, VmHWM at most."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(kind + ":"))
    return int(line.split()[1]) * 1024


def config_of(name: str) -> Any:
    """The configuration of a shape."""
    return AutoConfig.for_model(**SHAPES[name], **TIED)


def measure(name: str) -> int:
    """Bytes at most, of a policy that samples and learns."""
    before, use = held("VmRSS"), USES[name]
    policy = _policy(name, use.dtype)
    sampler = LocalSampler(policy, dtype=use.sampling_dtype)  # type: ignore[arg-type]
    draw = random.Random(0)
    prompts = [[draw.randrange(2, 1000) for _ in range(PROMPT)] for _ in range(PROMPTS)]
    sampler.draw(
        LIVE, prompts, Sampling(temperature=1.0, top_p=1.0, max_new_tokens=NEW_TOKENS), seed=0
    )
    response = [7] * ((TRAINED - PROMPT) // 2)
    label = TrainingLabel(("1",), 1.0, 1.0, prompts[0], response, response[::-1], -1.0, -1.0)
    for _ in train(policy, [label], Training(learning_rate=1e-5, micro_tokens=TRAINED), seed=0):
        pass
    return held("VmHWM") - before


def _policy(name: str, dtype: str) -> Policy:
    """Weights that are quick to make: numbers matter to nobody."""
    with no_init_weights():
        base = AutoModelForCausalLM.from_config(config_of(name), dtype=getattr(torch, dtype))
    for weight in base.parameters():
        weight.data.fill_(0.01 if weight.dim() > 1 else 1.0)
    return Policy(
        base,
        tiny_tokenizer(),
        LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM", r=USES[name].rank),
        name=name,
        base_name=name,
        stored_dtype=None,
        seed=0,
    )


def alone(name: str) -> int:
    """The same in a fork."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, json.dumps(measure(name)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        found = said.read()
    os.waitpid(child, 0)
    return int(found)


def main() -> None:
    """Measure all shapes, one after the other."""
    torch.set_num_threads(1)  # threads do not survive a fork
    print(json.dumps({name: alone(name) for name in SHAPES}))


if __name__ == "__main__":
    main()
