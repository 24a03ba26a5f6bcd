"""What serves a folder: the commands of each program, with what it does not find by itself."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labeler.domain.drawing import Drawing

# The ranks that vLLM lays its kernels out for.
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


def commands(
    target: str,
    out: Path,
    *,
    base: str,
    rank: int,
    variables: Mapping[str, Any],
    drawing: Drawing,
) -> list[str]:
    """What serves the folder `out`, a line each; `drawing` is how the service samples."""
    folder, name = shlex.quote(str(out.absolute())), name_of(out)
    match target:
        case "adapter":
            return [_vllm(folder, name, base, rank), f"python -c {shlex.quote(_peft(out))}"]
        case "merged":
            return [f"transformers serve {folder}", f"vllm serve {folder}"]
        case "gguf":
            return [f"llama-server --jinja -m {folder}/model-q8_0.gguf {_drawn(drawing)}"]
        case "ollama":
            return [
                f"cd {folder} && ollama create {name} && ollama run {name}",
                f"cd {folder} && ollama create --quantize q4_K_M {name}  # smaller, and coarser",
            ]
        case "mlx":
            return [f"{_mlx(folder, base, variables)} {_drawn(drawing)}"]
        case _:
            return [_vllm(folder, name, base, rank)]


def name_of(out: Path) -> str:
    """A name for the model, as Ollama and vLLM take it."""
    return re.sub(r"[^a-z0-9._-]+", "-", out.absolute().name.lower()).strip("-._") or "tuned"


def vllm_rank(rank: int) -> int:
    """The smallest rank that vLLM has room for this one in."""
    return next((one for one in VLLM_RANKS if one >= rank), rank)


def _drawn(drawing: Drawing) -> str:
    """As the service draws, for programs that read no generation config; they have defaults."""
    return f"--temp {drawing.temperature:g} --top-p {drawing.top_p:g} --top-k 0 --min-p 0"


def _peft(out: Path) -> str:
    return (
        "from peft import AutoPeftModelForCausalLM as Model; "
        f"model = Model.from_pretrained({str(out.absolute())!r})"
    )


def _mlx(folder: str, base: str, variables: Mapping[str, Any]) -> str:
    command = f"mlx_lm.server --model {shlex.quote(base)} --adapter-path {folder}"
    if variables:
        command += f" --chat-template-args {shlex.quote(json.dumps(variables))}"
    return command


def _vllm(folder: str, name: str, base: str, rank: int) -> str:
    """The base under the name that the adapter has for it: vLLM compares the letters.

    The end of turn and the chat template come from here: the base may name others.
    """
    return (
        f"vllm serve {shlex.quote(base)} --enable-lora --max-lora-rank {vllm_rank(rank)} "
        f"--lora-modules {name}={folder} --generation-config {folder} "
        f"--chat-template {folder}/chat_template.jinja"
    )
