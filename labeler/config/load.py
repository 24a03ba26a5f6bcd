"""Settings: one frozen object from defaults, the policy's own file, TOML, environment and flags.

Later sources win, in that order. Every field is a flag (`--labels-per-update`), a TOML key
(`labels_per_update`) and an environment variable (`LIVEDPO_LABELS_PER_UPDATE`). A policy folder may
carry a `livedpo.toml` with the fields that are marked POLICY_MAY_SET, and with those of an
unattended run in its table `judge`.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from labeler.config.parts.part import Mark
from labeler.config.policies import own_folder
from labeler.config.settings import FIELDS, UNATTENDED, Settings, marked
from labeler.config.starter import STARTER_POLICY
from labeler.domain.errors import BadInput

POLICY_FILE = "livedpo.toml"
PREFIX = "LIVEDPO_"
DATABASE = {"database", "database_file"}  # two ways to say one thing
HANDED_DOWN = "LIVEDPO_SETTINGS"


def load_settings(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    config: Path | None = None,
    *,
    unattended: bool = False,
) -> Settings:
    """Merge all sources and validate. Raises BadInput with one sentence that names the value.

    An `unattended` run has defaults of its own, for a judge's labels are many where people's are
    few; a policy's file has them in its table `judge`.
    """
    environment = _from_environment(environ)
    given = {name: value for name, value in flags.items() if value is not None}
    if config is None and "config" in environment:
        config = Path(environment["config"])
    environment.pop("config", None)
    chosen = _over(_over(_from_toml(config) if config else {}, environment), given)
    policy = str(chosen.get("policy", STARTER_POLICY))
    values = (UNATTENDED if unattended else {}) | from_policy(policy, unattended=unattended)
    return _validated(values | chosen | {"chosen": frozenset(chosen)})


def as_environment(settings: Settings) -> dict[str, str]:
    """The one environment variable by which a child process is handed all settings, as JSON.

    Defaults are left out, so that the child can tell what was set from what was not.
    """
    return {HANDED_DOWN: settings.model_dump_json(exclude_unset=True)}


def handed_down_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that a parent process handed down; without any, those of the environment.

    Raises BadInput with one sentence that names the value.
    """
    if HANDED_DOWN in environ:
        return _validated(json.loads(environ[HANDED_DOWN]))
    return load_settings({}, environ)


def _over(lower: dict[str, Any], higher: dict[str, Any]) -> dict[str, Any]:
    """Both sources as one. A database that the higher one names either way is the database."""
    if DATABASE & higher.keys():
        lower = {name: value for name, value in lower.items() if name not in DATABASE}
    return lower | higher


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {
        key.removeprefix(PREFIX).lower(): value
        for key, value in environ.items()
        if key.startswith(PREFIX) and key != HANDED_DOWN and value
    }
    for name in found:
        if name not in FIELDS and name != "config":
            raise BadInput(f"{_unknown(PREFIX + name.upper())} Unset it, or mend its name.")
    return found


def _from_toml(path: Path) -> dict[str, Any]:
    values = _read_toml(path)
    for name in values:
        if name not in FIELDS:
            raise BadInput(f"{_unknown(name)} It stands in {path}.")
    return values


def from_policy(policy: str, *, unattended: bool) -> dict[str, Any]:
    """What the policy's own `livedpo.toml` sets. Raises BadInput if it may not."""
    path = own_folder(policy) / POLICY_FILE
    if not path.is_file():
        return {}
    values = _read_toml(path)
    if isinstance(values.get("judge"), dict):
        table = values.pop("judge")
        values |= table if unattended else {}
    for name in values:
        if name not in marked(Mark.POLICY_MAY_SET):
            allowed = ", ".join(sorted(marked(Mark.POLICY_MAY_SET)))
            raise BadInput(f"{path} may not set '{name}', only {allowed}.")
    return values


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"The settings file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The settings file {path} is not valid TOML: {error}.") from error


def _unknown(name: str) -> str:
    return f"There is no setting '{name}'; `livedpo serve --help` lists them."


def _validated(values: dict[str, Any]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # a combination that a part refuses
            raise BadInput(str(first["ctx"]["error"])) from error
        name = str(first["loc"][0])
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise BadInput(f"'{name}' cannot be {first['input']!r}: {reason}.") from error
