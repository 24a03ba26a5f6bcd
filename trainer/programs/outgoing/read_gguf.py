"""The GGUF reader of transformers, in single precision, with the config that the file tells."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, GgufConfig

from labeler.config.gguf import read_content
from trainer.policy.gguf import tokenizer_in
from trainer.policy.gguf_config import config_in
from trainer.programs.outgoing.saying import Asked, Said, said_by

UNREAD = ("gemma",)  # of the architectures that are written here, those that it cannot read


def reads(kind: str) -> bool:
    """Whether transformers reads files of models of this type."""
    return kind not in UNREAD


def said_by_gguf_reader(file: Path, asked: Asked, device: torch.device) -> Said:
    """What transformers says of a file."""
    content = read_content(file)
    with TemporaryDirectory() as empty:  # it would take a config that lies beside the file
        linked = Path(empty, "model.gguf")
        linked.symlink_to(file.resolve())
        model = AutoModelForCausalLM.from_pretrained(
            empty,
            gguf_file=linked.name,
            config=config_in(linked, content),
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        tokenizer = tokenizer_in(linked, content)
    field = GGUFReader(file).get_field("tokenizer.ggml.eos_token_ids")
    ends = [] if field is None else field.contents()
    by = f"transformers {transformers.__version__} from {file.name}"
    return said_by(by, model.to(device).eval(), tokenizer, asked, sorted(ends))
