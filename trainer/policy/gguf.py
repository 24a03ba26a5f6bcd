"""Policies in GGUF files: each is unpacked once, to a model folder that anybody can load.

    policy -> its GGUF file -> what the file says of itself -> a model folder in the cache -> policy

llama.cpp keeps a model's packed weights, vocabulary and chat template in one file. Training takes
plain weights, and a version's adapter has to name a base that plain `peft` can load. So the folder
is the policy, and the file is not needed after that. What `transformers` leaves out of a file is
mended here, or said. Weights are never trained packed, and nothing is read from a hub.
"""

import io
import json
import logging
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tqdm.auto import tqdm
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    modeling_gguf_pytorch_utils,
)
from transformers.utils.logging import is_progress_bar_enabled

from labeler.config.gguf import Content, read_content
from labeler.config.hub import Say
from labeler.config.load import POLICY_FILE
from labeler.config.policies import SMOLLM2, gguf_file, own_folder
from labeler.domain.adapter_folder import file_sha256
from labeler.domain.errors import BadInput, LivedpoError, first_line
from labeler.domain.sentences.figures import percent
from trainer.policy.folders import cache, written_whole
from trainer.policy.gguf_config import FACTORS, config_in
from trainer.policy.positions import name_positions

log = logging.getLogger(__name__)

# Raise it when something else is made of the same file: folders of before are not used then.
EDITION = 3
CARD = "README.md"
SAY_SECONDS = 1.0
BLANK = "▁"
# The plain types stay as they are. Of a packed type, half precision loses next to nothing: 1.5e-6
# nats a token on SmolLM2 in Q4_1, where bfloat16 loses 5e-5.
STAY = {"F32": torch.float32, "BF16": torch.bfloat16}
# Vocabularies whose digits stand alone: by llama.cpp's list; transformers knows none of them.
SINGLE_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
LIKE_GPT2 = {"default", "gpt-2", "gpt2", "mpt", "olmo", "jais", "trillion", "phi-2"}
# What transformers raises over a file that is broken or of a kind that it does not know.
UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, RuntimeError, ArithmeticError, struct.error),
)


def unpacked(policy: str, say: Say) -> str:
    """The policy itself, or the model folder that its GGUF file is unpacked to.

    Two that ask for the same file at once do not harm each other: one waits. Raises LivedpoError.
    """
    file = gguf_file(policy)
    if file is None:
        return policy
    content = read_content(file)
    name = policy if policy == SMOLLM2 else file.stem
    folder = cache() / f"gguf-{EDITION}" / f"{name}-{file_sha256(file)[:16]}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder, say):
            if not folder.is_dir():
                _unpack(content, policy, folder, say)
    except (OSError, SafetensorError) as error:
        raise LivedpoError(
            f"The model folder {folder} cannot be written: {first_line(error)}. The environment "
            "variable XDG_CACHE_HOME names another place."
        ) from error
    kept = str(_dtype(content)).removeprefix("torch.")
    log.info(
        "%s holds %s weights, most of them as %s; they are unpacked to %s in %s.",
        *(file.name, f"{content.weights:,}", content.packing, kept, folder),
    )
    return str(folder)


def _dtype(content: Content) -> torch.dtype:
    """What the weights of a file are unpacked to."""
    return STAY.get(content.packing, torch.float16)


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Keep every other process off this folder's name."""
    lock = FileLock(folder.with_name(folder.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("Loading the model: another process unpacks it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _unpack(content: Content, policy: str, folder: Path, say: Say) -> None:
    """Write the model folder of a file, with the policy's own settings and card."""
    name = content.file.name
    log.info("%s is unpacked to %s. Later starts find it there.", name, folder)
    say(f"Loading the model: {name} is unpacked, once.")
    # What lies beside the file is not its own: transformers would take a config or a template.
    with TemporaryDirectory() as empty:
        file = Path(empty, "model.gguf")
        file.symlink_to(content.file.resolve())
        try:
            tokenizer = tokenizer_in(file, content)
            with _counted(
                lambda share: say(f"Loading the model: {percent(share)} of {name} is read.")
            ):
                model = _model(file, content)
        except UNREADABLE as error:
            raise BadInput(
                f"The GGUF file '{content.file}' cannot be read by transformers: "
                f"{first_line(error)}"
            ) from error
    say(f"Loading the model: what was read of {name} is written.")
    with written_whole(folder) as unfinished:
        model.save_pretrained(unfinished)
        name_positions(unfinished)
        tokenizer.save_pretrained(unfinished)
        (unfinished / CARD).write_text(_card(content), encoding="utf-8")
        for own in (CARD, POLICY_FILE):
            if (own_folder(policy) / own).is_file():
                shutil.copy(own_folder(policy) / own, unfinished)


def _model(file: Path, content: Content) -> PreTrainedModel:
    """The model in a file, with plain weights. Raises BadInput, or what is in UNREADABLE."""
    loaded, info = AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        config=config_in(file, content),
        dtype=_dtype(content),
        quantization_config=GgufConfig(dequantize=True),
        output_loading_info=True,
    )
    if info["missing_keys"]:
        raise ValueError(f"it lacks the weights {min(info['missing_keys'])}")
    model: PreTrainedModel = loaded
    left_out = content.weights - content.tensors.get(FACTORS, 0) - model.num_parameters()
    if left_out > 0:
        log.warning(
            "%s of the weights of %s have no place in the model that transformers makes of it, and "
            "are left out.",
            *(f"{left_out:,}", content.file.name),
        )
    ends = [content.token(name) for name in ("eos", "eot")]
    model.generation_config = GenerationConfig(
        bos_token_id=content.token("bos"),
        eos_token_id=sorted({end for end in ends if end is not None}) or None,
        pad_token_id=content.token("padding"),
    )
    return model


def tokenizer_in(file: Path, content: Content) -> PreTrainedTokenizerFast:
    """The tokenizer in a file: its tokens and no others, and text split as the model learned it."""
    read = PreTrainedTokenizerFast.from_pretrained(file.parent, gguf_file=file.name)
    # transformers adds the end token of GPT-2 where the file has none, past the embedding's end.
    state = json.loads(read.backend_tokenizer.to_str())
    tokens = content.metadata["tokenizer.ggml.tokens"]
    state["added_tokens"] = [token for token in state["added_tokens"] if token["id"] < tokens]
    backend = Tokenizer.from_str(json.dumps(state))
    by_bytes = content.metadata.get("tokenizer.ggml.model") == "gpt2"
    split = content.metadata.get("tokenizer.ggml.pre", "default")
    if by_bytes and split in SINGLE_DIGITS:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
    elif isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel) and split not in LIKE_GPT2:
        log.warning(
            "%s splits text as '%s', which transformers does not know; it is split as for GPT-2.",
            *(content.file.name, split),
        )
    elif content.metadata.get("tokenizer.ggml.model") == "llama" and backend.pre_tokenizer:
        _as_sentencepiece(backend, content)
    names = ("bos_token", "eos_token", "unk_token", "pad_token", "chat_template")
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **{name: getattr(read, name) for name in names}
    )


def _as_sentencepiece(backend: Tokenizer, content: Content) -> None:
    """Put a blank before every text between control tokens, as llama.cpp does, or before none.

    transformers puts one before the first text alone.
    """
    steps: list[normalizers.Normalizer] = [normalizers.Replace(" ", BLANK)]
    if content.metadata.get("tokenizer.ggml.add_space_prefix", True):
        steps.insert(0, normalizers.Prepend(BLANK))
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = None


@contextmanager
def _counted(hear: Callable[[float], None]) -> Iterator[None]:
    """Tell how far transformers is with a file's weights, from 0 to 1; it shows that only as a bar.

    The bar stays where bars are wanted.
    """

    class Heard(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            shown = None if is_progress_bar_enabled() else io.StringIO()
            super().__init__(*args, file=shown, mininterval=SAY_SECONDS, **options)

        def display(self, *args: Any, **options: Any) -> Any:
            hear(self.n / (self.total or 1))
            return super().display(*args, **options)

    plain = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = Heard
    try:
        yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = plain


def _card(content: Content) -> str:
    """What the folder is and where it comes from, as far as the file tells."""
    said = content.metadata
    origin = [said.get(f"general.{key}") for key in ("organization", "source.url", "url")]
    return (
        f"# {said.get('general.name', content.file.stem)}\n\n"
        f"Unpacked by livedpo from `{content.file.name}`, most of it {content.packing}.\n"
        f"Origin: {', '.join(one for one in origin if one) or 'not named in the file'}.\n"
        f"Licence: {said.get('general.license', 'not named in the file')}.\n"
    )
