"""An adapter for mlx-lm: other keys than peft's, transposed factors, and a config of its own.

peft:  y += alpha / r * x A^T B^T, A (r, in), B (out, r)
mlx:   y += scale * x a b, a (in, r), b (r, out)
"""

import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from labeler.domain.errors import BadInput
from trainer.programs.outgoing.saying import ANSWER_TOKENS, Answer, Asked, Said, cut

WEIGHTS = "adapters.safetensors"
CONFIG = "adapter_config.json"
KEY = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<factor>[AB])\.weight")
IN_LAYER = re.compile(r".*?\.(?:layers|h|blocks)\.\d+\.(?P<name>.+)")


def write_mlx_adapter(
    folder: Path, state: Mapping[str, Tensor], *, rank: int, scale: float, layers: int, base: str
) -> None:
    """Write the adapter `state`, as peft names it. Raises BadInput for other than layers."""
    factors: dict[str, Tensor] = {}
    keys = set()
    for key, weight in state.items():
        found = KEY.fullmatch(key)
        if found is None or weight.dim() != 2:
            raise BadInput(f"mlx-lm has no place for the adapter's {key}; use --to merged.")
        layer = found["layer"]
        factors[f"{layer}.lora_{found['factor'].lower()}"] = weight.T.contiguous()
        in_layer = IN_LAYER.fullmatch(layer)
        keys.add(in_layer["name"] if in_layer else layer)
    save_file(factors, folder / WEIGHTS, metadata={"format": "mlx"})
    config = {
        "model": base,
        "fine_tune_type": "lora",
        "num_layers": layers,
        "lora_parameters": {"rank": rank, "scale": scale, "dropout": 0.0, "keys": sorted(keys)},
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")


def said_by_mlx(folder: Path, base: Path, asked: Asked) -> Said:
    """What mlx-lm says of an adapter on its base, in single precision.

    Tokenizer, chat template and end of turn are those of the base: mlx-lm takes no others.
    """
    import mlx.core as mx
    from mlx_lm import load

    model, tokenizer = load(str(base), adapter_path=str(folder))
    model.set_dtype(mx.float32)
    ends = sorted(tokenizer.eos_token_ids)
    prompts = [
        list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, **asked.variables))
        for messages in asked.conversations
    ]
    return Said(
        by=f"mlx-lm {version('mlx-lm')}",
        prompts=prompts,
        ends=frozenset(ends),
        answers=[_answer(model, prompt, ends) for prompt in prompts],
        logps=[_logps(model, prompts[0], reply) for reply in asked.replies],
    )


def _answer(model: Any, prompt: list[int], ends: list[int]) -> Answer:
    """The likeliest token, again and again, up to an end."""
    import mlx.core as mx
    from mlx_lm.models.cache import make_prompt_cache

    cache, tokens = make_prompt_cache(model), list(prompt)
    said: list[int] = []
    while len(said) < ANSWER_TOKENS and not (said and said[-1] in ends):
        logits = model(mx.array([tokens]), cache=cache)[0, -1]
        tokens = [int(mx.argmax(logits).item())]
        said += tokens
    return cut(said, ends)


def _logps(model: Any, prompt: list[int], reply: list[int]) -> list[float]:
    import mlx.core as mx

    logits = model(mx.array([[*prompt, *reply]]))[0, len(prompt) - 1 : -1].astype(mx.float32)
    logps = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return [float(logps[place, token].item()) for place, token in enumerate(reply)]
