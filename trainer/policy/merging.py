"""Adapters merged into their base: for a model that needs none, and for an adapter as the policy.

An adapter that is given as the policy is part of the reference. It is merged into its base once,
and the merged model is kept as a folder, so that the versions trained on it have a base to name.
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, load_peft_weights
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from labeler.domain.adapter_folder import file_sha256
from trainer.fast.rounding import rounded
from trainer.policy.folders import cache
from trainer.policy.policy import peft_quirk

CONFIG = "adapter_config.json"


def is_adapter(folder: Path) -> bool:
    """Whether it holds an adapter, not a model."""
    return (folder / CONFIG).is_file()


def place_of(adapter: Path, parent: Path, dtype: torch.dtype | None) -> Path:
    """Where an adapter that is merged into this parent is kept: another place for other files.

    `dtype` is that of the parent. Below float32 some are still kept whose weights were rounded to
    the nearest number: they are elsewhere.
    """
    digest = hashlib.sha256()
    if dtype != torch.float32:
        digest.update(b"rounded by lot")
    for path in sorted(adapter.glob("adapter_*")):
        digest.update(f"{path.name} {file_sha256(path)}".encode())
    for path in sorted(parent.iterdir()):
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return cache() / "merged" / digest.hexdigest()[:16]


def with_adapter(base: PreTrainedModel, adapter: Path, *, tokens: int) -> PreTrainedModel:
    """The base with an adapter merged into it. Raises ValueError or KeyError if it does not fit.

    Its vocabulary becomes that which the adapter was trained with; `tokens` are its tokenizer's.
    """
    rows = _vocabulary(base, adapter, tokens)
    if rows != len(base.get_input_embeddings().weight):
        base.resize_token_embeddings(rows, mean_resizing=False)
    with head_of_its_own(base), peft_quirk():
        model = PeftModel.from_pretrained(base, str(adapter))
        for layer in model.modules():
            if isinstance(layer, BaseTunerLayer):
                _merge(layer)
        warnings.filterwarnings("ignore", "All adapters are already merged", UserWarning)
        merged: PreTrainedModel = model.merge_and_unload()
    return merged


def _merge(layer: Any) -> None:
    """Merge the adapter of one layer in float32, so that rounding keeps all of it on average."""
    base = layer.get_base_layer()
    dtypes = [weight.dtype for weight in base.parameters()]
    base.float()
    layer.merge()
    for weight, dtype in zip(base.parameters(), dtypes, strict=True):
        weight.data = rounded(weight.data, dtype)


@contextmanager
def head_of_its_own(base: PreTrainedModel) -> Iterator[None]:
    """While adapters are merged into `base`: what changes the head must not change the embedding.

    Where both share one weight, they share it afterwards if they are still equal.
    """
    config = base.config.get_text_config()
    embedding, head = _embedding_and_head(base)
    tied = head.weight is embedding.weight
    if tied:
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Input and output embeddings are no longer", UserWarning)
        warnings.filterwarnings(
            "ignore", "Model (has|with) `tie_word_embeddings=True`", UserWarning
        )
        yield
    embedding, head = _embedding_and_head(base)
    tied = tied and torch.equal(head.weight, embedding.weight)
    base.config.tie_word_embeddings = config.tie_word_embeddings = tied
    if tied:
        head.weight = embedding.weight


def _vocabulary(base: PreTrainedModel, adapter: Path, tokens: int) -> int:
    """Rows of the embedding that an adapter was trained on: those it saved, or as many as needed.

    The second is what peft does with a tokenizer that lies beside an adapter.
    """
    layers = {id(layer) for layer in _embedding_and_head(base)}
    names = {name.rpartition(".")[2] for name, layer in base.named_modules() if id(layer) in layers}
    for key, weight in load_peft_weights(str(adapter), device="cpu").items():
        if key.endswith("weight") and "lora_" not in key and names & set(key.split(".")):
            return len(weight)
    return max(tokens, len(base.get_input_embeddings().weight))


def _embedding_and_head(base: PreTrainedModel) -> tuple[Any, Any]:
    """The layers themselves, without adapters around them."""
    return _layer(base.get_input_embeddings()), _layer(base.get_output_embeddings())


def _layer(module: Any) -> Any:
    return module.get_base_layer() if isinstance(module, BaseTunerLayer) else module
