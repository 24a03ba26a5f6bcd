"""What was set when a service was last started, as a TOML file in its data dir.

It is what `--config` reads, so that a copy of the data dir, or a backup, can be started as the
original was. It has what came from flags, environment and `--config`: defaults and the policy's own
file hold again. Where the data dir, its database and its versions are is left out, and so are
secrets.
"""

import re
from pathlib import Path

from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError

SETTINGS = "settings.toml"
LEFT_OUT = {"data_dir", "database", "database_file", "versions_url", "metrics_token"}
HEAD = "# What was set when `livedpo {command}` was last started. `--config` reads it."


def keep_settings(settings: Settings, command: str) -> Path:
    """Write down what was set for `serve` or `judge`, as it was loaded; the data dir is there.

    Raises LivedpoError if it has no room.
    """
    import tomlkit

    file = settings.data_dir / SETTINGS
    names = set(settings.chosen) - LEFT_OUT
    chosen = settings.model_dump(mode="json", include=names, exclude_none=True)
    new = file.with_suffix(".new")
    try:
        new.write_text(f"{HEAD.format(command=command)}\n{tomlkit.dumps(chosen)}", encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise LivedpoError(f"The file {file} cannot be written: {error.strerror}.") from error
    return file


def started_by(file: Path) -> str:
    """The command that was started with these settings; `serve` where the file does not say."""
    head = file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    found = re.search("`livedpo (judge|serve)`", head)
    return found[1] if found else "serve"
