"""Writes a version as a model of its own: `livedpo versions merge V OUT`.

The adapter is merged into its base, and the folder loads anywhere as a plain `transformers` model,
with its tokenizer, chat template and the policy's own settings, in the dtype of the policy's files.
"""

import os
import shutil
import sys
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from labeler.config.load import POLICY_FILE, handed_down_settings
from labeler.config.policies import own_folder
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.roles.interrupt import INTERRUPTED, LINE, let_through
from labeler.roles.logs import warn_on_terminal
from labeler.roles.terminal import tell
from labeler.store import Store, open_store
from trainer.policy.adapters import read_adapter
from trainer.policy.folders import written_whole
from trainer.policy.load import load_policy
from trainer.policy.merging import head_of_its_own
from trainer.policy.packing import PACKINGS
from trainer.policy.policy import LIVE

# What a policy's folder may hold besides model and tokenizer: its settings, and how it sees.
BESIDE = (
    POLICY_FILE,
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)


def merge(store: Store, settings: Settings, version_id: int, out: Path) -> None:
    """Write version `version_id` to the new folder `out`. Raises LivedpoError."""
    if out.exists():
        raise BadInput(f"{out} exists already; name a new folder.")
    version = store.versions.get(version_id)
    folder = settings.adapters_dir / version.folder if version.folder else None
    if settings.dtype in PACKINGS:
        raise BadInput(
            f"A version on a base in {settings.dtype} cannot be merged without rounding it again; "
            f"plain peft loads the adapter {folder or 'of a later version'} on such a base."
        )
    policy = load_policy(settings, folder)
    store.versions.check_base(base=policy.name, fingerprint=policy.fingerprint)
    if folder is not None and version.sha256 is not None:
        policy.set_adapter_state(LIVE, read_adapter(folder, version.sha256))
    with head_of_its_own(policy.model.get_base_model()):
        merged = policy.model.merge_and_unload(adapter_names=[LIVE])
    if settings.dtype == "auto" and policy.stored_dtype is not None:
        merged = merged.to(policy.stored_dtype)
    merged.generation_config = policy.shipped_generation_config

    try:
        with written_whole(out) as unfinished:
            merged.save_pretrained(unfinished)
            policy.tokenizer.save_pretrained(unfinished)
            for path in (own_folder(settings.policy) / name for name in BESIDE):
                if path.is_file():
                    shutil.copy(path, unfinished)
    except OSError as error:
        raise LivedpoError(f"{out} cannot be written: {error.strerror or error}.") from error


def main() -> None:
    """Merge as the arguments say; settings come from the environment."""
    version, out = int(sys.argv[1]), Path(sys.argv[2])
    warn_on_terminal("merge")
    try:
        let_through()
        settings = handed_down_settings(os.environ)
        if not sys.stderr.isatty():
            disable_progress_bar()
        merge(open_store(settings.database_url, create=False), settings, version, out)
    except KeyboardInterrupt:
        tell(LINE, err=True)
        sys.exit(INTERRUPTED)
    except LivedpoError as error:
        tell(f"livedpo: {error}", err=True)
        sys.exit(error.exit_code)
    tell(f"Version {version} is now a standalone model in {out}.")


if __name__ == "__main__":
    main()
