"""Bases whose weights stay packed: `--dtype nf4` and `int8`, through bitsandbytes.

QLoRA (Dettmers et al. 2023, arXiv 2305.14314): the linear layers are packed and unpacked a layer at
a time as they multiply, the rest is in bfloat16, and LoRA is trained on top. The head and the
embeddings are not packed. No sampling copy is merged: it would be as large as what packing saves.
Adapters stay in float32, as on any base: in bfloat16 an AdamW step of a thousandth of a weight
would be rounded away.
"""

import importlib.util
import logging
import sys
from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from labeler.domain.errors import BadInput

PACKINGS = ("nf4", "int8")


def packing_of(dtype: str, device: torch.device, *, asked_device: str) -> BitsAndBytesConfig | None:
    """How `from_pretrained` is to pack the weights for a `--dtype`; None if it is a plain one.

    Raises BadInput if bitsandbytes is missing, or a GPU that nobody asked to do without.
    """
    if dtype not in PACKINGS:
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise BadInput(
            f"--dtype {dtype} takes the package bitsandbytes; run "
            f"`{sys.executable} -m pip install bitsandbytes`."
        )
    if device.type == "cpu" and asked_device != "cpu":
        raise BadInput(
            f"--dtype {dtype} is for a GPU, and none is here; --device cpu does it without, slowly."
        )
    if dtype == "int8":
        # It says at each product that bfloat16 is rounded on its way to eight bits.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def keep_gradients(base: PreTrainedModel) -> None:
    """Keep bitsandbytes from laying weights out for reading alone, in place, on a CPU with AVX-512.

    It does so in the first pass without a gradient, and no gradient goes through them after that.
    """
    from bitsandbytes.nn import Linear4bit

    for module in base.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def refuse_packed_twice(config: Any, dtype: str) -> None:
    """Raise ValueError if the weights of a model's files are packed already."""
    how = getattr(config, "quantization_config", None)
    if how is not None:
        method = how["quant_method"] if isinstance(how, dict) else how.quant_method
        raise ValueError(f"its weights are packed already ({method}); leave out --dtype {dtype}")
