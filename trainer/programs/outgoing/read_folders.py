"""Plain peft and plain transformers, which load from the files alone, in single precision."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft import AutoPeftModel, AutoPeftModelForCausalLM, PeftConfig
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
)

from trainer.policy.policy import peft_quirk
from trainer.programs.outgoing.saying import Asked, Said, ends_of, said_by


def said_by_peft(folder: Path, asked: Asked, how: Mapping[str, Any]) -> Said:
    """What an adapter says on the base that it names; `how` that base is loaded."""
    task = PeftConfig.from_pretrained(str(folder)).task_type
    auto = AutoPeftModelForCausalLM if task else AutoPeftModel
    with peft_quirk():
        model = auto.from_pretrained(str(folder), **how).eval()
    return _said(f"peft {peft.__version__}", folder, model, asked, how)


def said_by_transformers(
    folder: Path, asked: Asked, how: Mapping[str, Any], *, sees: bool = False
) -> Said:
    """What a model folder says; one that also `sees` has another class."""
    auto = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    model = auto.from_pretrained(folder, **how).eval()
    return _said(f"transformers {transformers.__version__}", folder, model, asked, how)


def _said(by: str, folder: Path, model: Any, asked: Asked, how: Mapping[str, Any]) -> Said:
    trust = how["trust_remote_code"]
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust)
    ends = ends_of(GenerationConfig.from_pretrained(folder))
    return said_by(by, model, tokenizer, asked, ends)


def plainly(device: torch.device, *, trust_remote_code: bool) -> dict[str, Any]:
    """How a base with plain weights is loaded."""
    return {
        "dtype": torch.float32,
        "device_map": {"": device},
        "trust_remote_code": trust_remote_code,
    }
