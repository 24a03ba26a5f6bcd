"""An adapter folder as the trainer writes it, without a model: bytes, a config and a manifest."""

import json
from pathlib import Path

from labeler.domain.adapter_folder import MANIFEST, WEIGHTS, file_sha256


def write_folder(folder: Path, weights: bytes = b"weights") -> str:
    """Write the folder and return the sha256 of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / "adapter_config.json").write_text("{}")
    files = {name: file_sha256(folder / name) for name in (WEIGHTS, "adapter_config.json")}
    (folder / MANIFEST).write_text(json.dumps({"files": files}))
    return files[WEIGHTS]
