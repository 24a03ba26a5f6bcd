"""What a policy says of itself, read before anything starts: no model library is needed.

What only a model library can tell, such as that weights are damaged or missing, is left to the
worker.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from labeler.config.gguf import read_content
from labeler.config.hub import facts_folder, is_hub_id
from labeler.config.parts.model import Model
from labeler.config.policies import gguf_file
from labeler.domain.errors import BadInput
from labeler.domain.sentences.policy import (
    brings_code,
    encoder_decoder,
    missing,
    unloadable,
    untemplated,
)

ADAPTER = "adapter_config.json"
# What a quantised checkpoint needs, by its quantisation.
PACKAGES = {
    "bitsandbytes": ("accelerate", "bitsandbytes"),
    "gptq": ("gptqmodel", "optimum"),
    "awq": ("accelerate", "gptqmodel"),
    "compressed-tensors": ("compressed_tensors",),
}
OTHER_HEADS = ("Classification", "QuestionAnswering", "MaskedLM")


def refuse_unfit_policy(settings: Model) -> None:
    """Raise BadInput, in one sentence, if the policy is not there or can never be tuned."""
    name = settings.policy
    if (file := gguf_file(name)) is not None:
        read_content(file)
        return
    folder = _folder(name)
    if folder is None:
        return
    template = _has_template(folder)
    if (folder / ADAPTER).is_file():
        base = _read(folder / ADAPTER, name).get("base_model_name_or_path")
        folder = Path(base) if isinstance(base, str) else folder
        if not folder.is_dir() or (folder / ADAPTER).is_file():  # on the hub, or a stack of them
            return
        template = template or _has_template(folder)
    if not (folder / "config.json").is_file():
        raise BadInput(unloadable(name, f"{folder} has no config.json"))
    config = _read(folder / "config.json", name)
    if reason := _reason(config):
        raise BadInput(unloadable(name, reason))
    if not _is_known(config.get("model_type")) and not settings.trust_remote_code:
        kind = config.get("model_type")
        if config.get("auto_map"):
            raise BadInput(brings_code(name))
        raise BadInput(unloadable(name, f"transformers does not know its architecture '{kind}'"))
    if not template:
        raise BadInput(untemplated(name))


def _folder(policy: str) -> Path | None:
    """Where the policy says what it is; None if it is no model folder and not on the hub."""
    path = Path(policy)
    if path.is_dir():
        return path
    if path.exists() or "/" not in policy:
        return None
    if is_hub_id(policy):
        return facts_folder(policy)
    raise BadInput(missing(policy))


def _reason(config: dict[str, Any]) -> str | None:
    """Why a model of this config cannot be tuned, in words that follow a colon."""
    if config.get("is_encoder_decoder") is True:
        return encoder_decoder(config.get("model_type"))
    heads = config.get("architectures") or []
    if any(str(head).endswith(OTHER_HEADS) for head in heads):
        return f"it is no causal language model, but a {heads[0]}"
    method = str((config.get("quantization_config") or {}).get("quant_method"))
    lacking = [package for package in PACKAGES.get(method, ()) if find_spec(package) is None]
    if lacking:
        return f"its weights are quantised ({method}), which needs {' and '.join(lacking)}"
    return None


def _is_known(kind: object) -> bool:
    """Whether transformers has this architecture; looked up in its list, which is not imported.

    True if that cannot be told.
    """
    package = find_spec("transformers")
    if kind is None or package is None or package.origin is None:
        return True
    known = Path(package.origin).parent / "models" / "auto" / "auto_mappings.py"
    text = known.read_text(encoding="utf-8") if known.is_file() else ""
    return f'"{kind}"' in text or '"llama"' not in text


def _has_template(folder: Path) -> bool:
    """Whether a chat template lies there, in one of the places that tokenizers know."""
    if any(
        (folder / name).exists() for name in ("chat_template.jinja", "additional_chat_templates")
    ):
        return True
    try:
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the worker says what is wrong with it
        return False
    return isinstance(tokenizer, dict) and bool(tokenizer.get("chat_template"))


def _read(path: Path, name: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(unloadable(name, f"{path} is no JSON")) from error
    if not isinstance(values, dict):
        raise BadInput(unloadable(name, f"{path} holds no settings"))
    return values
