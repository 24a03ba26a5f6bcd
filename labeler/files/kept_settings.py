"""The settings that a service was last started with, as a TOML file in its data dir.

It is what `--config` reads, so that a copy of the data dir, or a backup, can be started as the
original was. Where the data dir, its database and its versions are is left out, and so are secrets.
"""

from pathlib import Path

from labeler.config.settings import FIELDS, Settings
from labeler.domain.errors import LivedpoError

SETTINGS = "settings.toml"
LEFT_OUT = {"data_dir", "database", "database_file", "versions_url", "metrics_token"}
HEAD = "# The settings that this service was last started with. `--config` reads them."


def keep_settings(settings: Settings) -> Path:
    """Write down what was set; the data dir is there. Raises LivedpoError if it has no room."""
    import tomlkit

    file = settings.data_dir / SETTINGS
    names = set(FIELDS) - LEFT_OUT
    chosen = settings.model_dump(mode="json", include=names, exclude_unset=True, exclude_none=True)
    new = file.with_suffix(".new")
    try:
        new.write_text(f"{HEAD}\n{tomlkit.dumps(chosen)}", encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise LivedpoError(f"The file {file} cannot be written: {error.strerror}.") from error
    return file
