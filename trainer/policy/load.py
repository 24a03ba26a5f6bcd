"""Loading a policy: a model folder, an adapter folder or a hub id, with adapters put on it."""

import logging
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from labeler.config.parts.model import Model
from labeler.domain.errors import BadInput, first_line
from trainer.policy.policy import Policy, peft_quirk

log = logging.getLogger(__name__)


def load_policy(settings: Model, adapter_folder: Path | None = None) -> Policy:
    """Load a base with adapters on it, shaped as in `adapter_folder` or else as the settings say.

    Raises BadInput if the policy is missing, is no causal language model, or has no chat template.
    """
    name = settings.policy
    base, tokenizer = _load_base(name, settings)
    if not tokenizer.chat_template:
        raise BadInput(
            f"The policy '{name}' has no chat template; use an instruction-tuned model, or add a "
            "chat_template.jinja to its folder."
        )
    if adapter_folder is not None:
        lora = LoraConfig.from_pretrained(str(adapter_folder))
        lora.inference_mode = False
        if (lora.r, lora.lora_alpha) != (settings.lora_rank, settings.lora_alpha):
            log.warning(
                "The adapter %s has LoRA rank %s and alpha %s; these stay.",
                adapter_folder.name,
                lora.r,
                lora.lora_alpha,
            )
    else:
        lora = LoraConfig(
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),
        )
    try:
        return Policy(base, tokenizer, lora, name=name, seed=settings.seed)
    except ValueError as error:  # peft's word for layers that are not there
        raise BadInput(
            f"The adapter {adapter_folder or 'of these settings'} does not fit the policy "
            f"'{name}': {first_line(error)}"
        ) from error


def _load_base(name: str, settings: Model) -> tuple[PreTrainedModel, Any]:
    if _looks_like_a_path(name) and not Path(name).is_dir():
        raise BadInput(f"There is no policy folder '{name}'; give a model folder or a hub id.")
    device = _device(settings.device)
    dtype = _dtype(settings.dtype, device)
    try:
        if _is_adapter(name):
            # The reference is "adapter off", so the given adapter must become part of the base.
            parent = PeftConfig.from_pretrained(name).base_model_name_or_path
            base = _complete_model(parent, dtype)
            with peft_quirk():
                base = PeftModel.from_pretrained(base, name).merge_and_unload()
            tokenizer = AutoTokenizer.from_pretrained(
                name if (Path(name) / "tokenizer_config.json").is_file() else parent
            )
        else:
            base = _complete_model(name, dtype)
            tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise BadInput(f"The policy '{name}' cannot be loaded: {first_line(error)}") from error
    return base.to(device), tokenizer


def _complete_model(name: str, dtype: torch.dtype) -> PreTrainedModel:
    """A causal language model of which no weight is missing. Raises ValueError if one is."""
    model, info = AutoModelForCausalLM.from_pretrained(name, dtype=dtype, output_loading_info=True)
    if info["missing_keys"]:
        raise ValueError(f"it is no causal language model; it lacks {min(info['missing_keys'])}")
    loaded: PreTrainedModel = model
    return loaded


def _looks_like_a_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") != 1


def _is_adapter(name: str) -> bool:
    return (Path(name) / "adapter_config.json").is_file()


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise BadInput(f"The device '{name}' cannot be used here: {error}") from error


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype: torch.dtype = getattr(torch, name)
    return dtype
