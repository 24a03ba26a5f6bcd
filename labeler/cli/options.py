"""Settings as options of commands: each is a flag, listed under the heading of its part."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from labeler.config.load import load_settings
from labeler.config.settings import FIELDS, PARTS, UNATTENDED, Settings

if TYPE_CHECKING:
    from labeler.store import Store

ALL = tuple(FIELDS)
STORE = ("data_dir", "database", "database_file")


class SectionedCommand(click.Command):
    """A command whose settings are listed part by part."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the settings by part."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        records = {option.name: option.get_help_record(ctx) for option in options}
        own = [record for name, record in records.items() if record and name not in FIELDS]
        with formatter.section("Options"):
            formatter.write_dl(own)
        for part in PARTS:
            rows = [record for name in part.model_fields if (record := records.get(name))]
            if rows:
                with formatter.section((part.__doc__ or "").splitlines()[0]):
                    formatter.write_dl(rows)


def existing_store(settings: Settings) -> Store:
    """The store of a data dir that has one. Raises BadInput if it has none."""
    return any_store(settings, create=False)


def any_store(settings: Settings, *, create: bool = True) -> Store:
    """The store of a data dir, made if there is none. Imported late, so that --help is quick."""
    from labeler.store import open_store

    return open_store(settings.database_url, create=create)


def settings_options(
    *names: str, unattended: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of these settings; it receives one `Settings`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def run(config: Path | None, **options: Any) -> Any:
            flags = {name: options.pop(name) for name in names}
            settings = load_settings(flags, os.environ, config, unattended=unattended)
            return command(settings, **options)

        run.__doc__, run.__name__ = command.__doc__, command.__name__
        run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        for name in reversed(names):
            run = _option(name, unattended=unattended)(run)
        return click.option(
            "--config", metavar="FILE.toml", type=Path, help="Settings as a TOML file."
        )(run)

    return decorate


def _option(name: str, *, unattended: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A flag for a setting."""
    field = FIELDS[name]
    text = field.description or ""
    default = UNATTENDED.get(name, field.default) if unattended else field.default
    if default is not None and "Default" not in text:
        text += f" Default: {default}."
    kinds = {Path: "PATH", int: "N", float: "X"}
    types = field.annotation, *get_args(field.annotation)
    metavar = next((name for kind, name in kinds.items() if kind in types), "TEXT")
    flag = "--" + name.replace("_", "-")
    # The bare flag of a yes or no says yes.
    bare: dict[str, Any] = {}
    if field.annotation is bool:
        bare = {"is_flag": False, "flag_value": "true"}
    return click.option(flag, name, default=None, metavar=metavar, help=text, **bare)
