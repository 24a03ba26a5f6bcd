"""Writes a version as a model of its own: `livedpo versions merge V OUT`.

The adapter is merged into its base, and the folder loads anywhere as a plain `transformers` model,
with its tokenizer, chat template and the policy's own settings.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from transformers.utils.logging import disable_progress_bar

from labeler.config.load import POLICY_FILE, handed_down_settings
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.store import Store, open_store
from trainer.policy.adapters import read_adapter
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE, Policy


def merge(store: Store, settings: Settings, version_id: int, out: Path) -> None:
    """Write version `version_id` to the new folder `out`. Raises LivedpoError."""
    if out.exists():
        raise BadInput(f"{out} exists already; name a new folder.")
    version = store.versions.get(version_id)
    folder = settings.adapters_dir / version.folder if version.folder else None
    policy = load_policy(settings, folder)
    store.versions.check_base(base=policy.name, fingerprint=policy.fingerprint)
    if folder is not None and version.sha256 is not None:
        policy.set_adapter_state(LIVE, read_adapter(folder, version.sha256))
    merged = policy.model.merge_and_unload(adapter_names=[LIVE])
    try:
        _write(merged, policy, settings, out)
    except OSError as error:
        raise LivedpoError(f"{out} cannot be written: {error.strerror or error}.") from error


def _write(merged: Any, policy: Policy, settings: Settings, out: Path) -> None:
    """Write the folder as a whole, or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".merging-") as temporary:
        unfinished = Path(temporary) / out.name
        merged.generation_config = policy.shipped_generation_config
        merged.save_pretrained(unfinished)
        policy.tokenizer.save_pretrained(unfinished)
        own_settings = Path(settings.policy) / POLICY_FILE
        if own_settings.is_file():
            shutil.copy(own_settings, unfinished)
        unfinished.rename(out)


def main() -> None:
    """Merge as the arguments say; settings come from the environment."""
    version, out = int(sys.argv[1]), Path(sys.argv[2])
    try:
        settings = handed_down_settings(os.environ)
        if not sys.stderr.isatty():
            disable_progress_bar()
        merge(open_store(settings.database_url, create=False), settings, version, out)
    except LivedpoError as error:
        print(f"livedpo: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"Version {version} is now a standalone model in {out}.")


if __name__ == "__main__":
    main()
