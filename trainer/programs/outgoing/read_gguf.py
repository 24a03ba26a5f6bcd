"""The GGUF reader of transformers, in single precision.

It leaves out some of what a file says: the size of a head where that is no fraction of the width,
the scale of attention that follows from it, and how rotary positions are scaled. These are put in.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from gguf import GGUFReader
from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig

from labeler.config.gguf import read_content
from trainer.policy.gguf import tokenizer_in
from trainer.programs.outgoing.gguf_file import rope_of
from trainer.programs.outgoing.saying import Asked, Said, said_by

UNREAD = ("gemma",)  # of the architectures that are written here, those that it cannot read


def reads(kind: str) -> bool:
    """Whether transformers reads files of models of this type."""
    return kind not in UNREAD


def said_by_gguf_reader(file: Path, asked: Asked, own: Any, device: torch.device) -> Said:
    """What transformers says of a file; `own` is the config of the model that was written."""
    content = read_content(file)
    architecture = content.metadata["general.architecture"]
    with TemporaryDirectory() as empty:  # it would take a config that lies beside the file
        linked = Path(empty, "model.gguf")
        linked.symlink_to(file.resolve())
        config = AutoConfig.from_pretrained(empty, gguf_file=linked.name)
        config.head_dim = content.metadata[f"{architecture}.attention.key_length"]
        if architecture in ("gemma2", "gemma3"):
            config.query_pre_attn_scalar = config.head_dim
        if rope_of(own)["rope_type"] != "default":
            config.rope_parameters = own.rope_parameters
        model = AutoModelForCausalLM.from_pretrained(
            empty,
            gguf_file=linked.name,
            config=config,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        tokenizer = tokenizer_in(linked, content)
    field = GGUFReader(file).get_field("tokenizer.ggml.eos_token_ids")
    ends = [] if field is None else field.contents()
    by = f"transformers {transformers.__version__} from {file.name}"
    return said_by(by, model.to(device).eval(), tokenizer, asked, sorted(ends))
