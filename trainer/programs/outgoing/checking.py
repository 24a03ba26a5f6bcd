"""Every folder is read again, by a library that had no part in writing it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError, first_line
from labeler.roles.terminal import tell
from trainer.policy.load import UNLOADABLE
from trainer.policy.packing import packing_of
from trainer.programs.outgoing import read_folders, read_llama_cpp
from trainer.programs.outgoing.mlx import said_by_mlx
from trainer.programs.outgoing.probe import SLACK, Compared, Probe, Slack, compare
from trainer.programs.outgoing.saying import Said

BASE_ALONE = (
    "mlx-lm takes all but the adapter from the base's own files. A model of --to merged is whole, "
    "and mlx-lm reads it too."
)


@dataclass(frozen=True)
class Written:
    """What was written, once the policy is gone.

    `config` is the model's, and `base` the folder of the base. The weights are `stored` so, and the
    service computes in `computed`. A model that also `sees` has a class of its own. `files` are
    those in GGUF.
    """

    probe: Probe
    config: Any
    base: Path
    spelled: list[str]
    device: torch.device
    stored: str
    computed: str
    sees: bool
    files: list[Path]


def checks(written: Written, folder: Path, target: str, settings: Settings) -> Iterator[Compared]:
    """What each library makes of it. Raises LivedpoError if that is another model."""
    for by, stored, ask in _readers(written, folder, target, settings):
        tell(f"{by} reads it again.", err=True)
        try:
            said = ask()
        except UNLOADABLE as error:
            raise LivedpoError(
                f"{by} cannot read what was written: {first_line(error)}."
            ) from error
        slack = _slack(stored, written.computed)
        try:
            compared = compare(written.probe, said, slack, written.spelled)
        except LivedpoError as error:
            if target == "mlx":
                raise LivedpoError(f"{error} {BASE_ALONE}") from error
            raise
        yield compared


def _readers(
    written: Written, folder: Path, target: str, settings: Settings
) -> Iterator[tuple[str, str, Callable[[], Said]]]:
    """Who reads it: a name, what the weights that it reads are stored in, and the reading."""
    asked, stored = written.probe.asked, written.stored
    how = read_folders.plainly(written.device, trust_remote_code=settings.trust_remote_code)
    packing = packing_of(settings.dtype, written.device, asked_device=settings.device)
    if packing is not None:
        how |= {"quantization_config": packing, "dtype": torch.bfloat16}
    match target:
        case "merged":
            yield (
                "transformers",
                stored,
                lambda: read_folders.said_by_transformers(folder, asked, how, sees=written.sees),
            )
        case "mlx":
            yield "mlx-lm", stored, lambda: said_by_mlx(folder, written.base, asked)
        case "gguf" | "ollama":
            for file in written.files:
                yield from _gguf_readers(file, written)
        case _:
            yield "peft", stored, lambda: read_folders.said_by_peft(folder, asked, how)


def _gguf_readers(file: Path, written: Written) -> Iterator[tuple[str, str, Callable[[], Said]]]:
    from trainer.programs.outgoing import read_gguf

    asked, own = written.probe.asked, written.probe.own
    stored = {"f16": "float16"}.get(file.stem.rpartition("-")[2], "q8_0")
    if read_gguf.reads(written.config.model_type):
        yield (
            "transformers",
            stored,
            lambda: read_gguf.said_by_gguf_reader(file, asked, written.device),
        )
    if read_llama_cpp.is_here():
        longest = max(map(len, [*own.prompts, *asked.replies]))
        yield (
            "llama.cpp",
            stored,
            lambda: read_llama_cpp.said_by_llama_cpp(file, asked, own.ends, 2 * longest),
        )


def _slack(*kinds: str) -> Slack:
    """That of the coarsest of these."""
    return max((SLACK[kind] for kind in kinds), key=lambda slack: slack.logp)
