"""A policy or a data set of the Hugging Face hub as a folder on this machine.

A hub that cannot be reached is asked once, for a few seconds: then what was downloaded before is
used, or it is refused.
"""

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.utils.tqdm import tqdm

from labeler.domain.errors import BadInput, first_line
from labeler.domain.sentences.policy import NO_SAFETENSORS, unloadable, unreachable

HUB_SECONDS = 5.0
SAY_SECONDS = 2.0
# What models are made of. Weights in other formats can run code, and are not even fetched.
FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "*.toml", "*.py"]
# What a model says of itself.
FACTS = ["config.json", "adapter_config.json", "tokenizer_config.json", "*chat_template*"]
# What data sets are made of.
DATA = [f"*{end}{gz}" for end in (".jsonl", ".json", ".csv", ".tsv", ".txt") for gz in ("", ".gz")]
DATA += ["*.parquet", "*.arrow", "README.md"]

Say = Callable[[str], None]


def is_hub_id(name: str) -> bool:
    """Whether what is no file or folder here can be on the hub."""
    return not name.startswith((".", "/", "~")) and name.count("/") == 1


def facts_folder(name: str) -> Path:
    """Only what the model says of itself. Raises BadInput as `hub_folder` does."""
    return _fetched(name, FACTS, say=lambda _: None)


def hub_folder(name: str, say: Say) -> Path:
    """The model's newest files, downloaded unless they are there; `say` hears how far that is.

    Raises BadInput if it is neither on the hub nor here, and if it has no weights as safetensors.
    """
    folder = _fetched(name, FILES, say)
    if not any(folder.glob("*.safetensors")):
        raise BadInput(unloadable(name, NO_SAFETENSORS))
    return folder


def dataset_folder(name: str) -> Path:
    """The newest files of a data set, downloaded unless they are there. Raises BadInput."""
    reached = not constants.HF_HUB_OFFLINE and _is_reached(name, "datasets")
    try:
        folder = snapshot_download(
            name, repo_type="dataset", allow_patterns=DATA, local_files_only=not reached
        )
    except LocalEntryNotFoundError as error:
        raise BadInput(
            f"There is no file or folder {name}, and the Hugging Face hub cannot be reached."
        ) from error
    except RepositoryNotFoundError as error:
        raise BadInput(
            f"There is no file or folder {name}, and the hub has no such data set, or keeps it "
            "private."
        ) from error
    except (OSError, ValueError) as error:
        raise BadInput(f"The data set {name} cannot be read: {first_line(error)}.") from error
    return Path(folder)


def _fetched(name: str, files: list[str], say: Say) -> Path:
    reached = not constants.HF_HUB_OFFLINE and _is_reached(name)
    try:
        folder = snapshot_download(
            name,
            allow_patterns=files,
            local_files_only=not reached,
            tqdm_class=_saying(name, say),
        )
    except LocalEntryNotFoundError as error:
        raise BadInput(unreachable(name)) from error
    except RepositoryNotFoundError as error:
        raise BadInput(
            unloadable(name, "the hub has no such model, or keeps it private")
        ) from error
    except (OSError, ValueError) as error:
        raise BadInput(unloadable(name, first_line(error))) from error
    return Path(folder)


def _is_reached(name: str, kind: str = "models") -> bool:
    """Whether the hub answers, whatever it says."""
    request = urllib.request.Request(f"{constants.ENDPOINT}/api/{kind}/{name}", method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=HUB_SECONDS).close()
    except HTTPError:
        return True
    except OSError:
        return False
    return True


def _saying(name: str, say: Say) -> type[Any]:
    """A progress bar that also says how many bytes are there, even where bars are not shown."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self.counts_bytes = options.get("unit") == "B"
            self.here, self.said_at = 0.0, 0.0
            super().__init__(*args, **options)  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            """Move on."""
            self.here += n or 0
            waited = time.monotonic() - self.said_at
            if self.counts_bytes and self.total and waited > SAY_SECONDS:
                self.said_at = time.monotonic()
                here, total = self.here / 1e6, self.total / 1e6
                say(f"Downloading {name}: {here:,.1f} of {total:,.1f} MB.")
            moved: bool | None = super().update(n)
            return moved

    return Bar
