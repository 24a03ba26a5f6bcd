"""Settings as options of commands: each `Settings` field is a flag, listed under its section."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from labeler.config.load import UNATTENDED, load_settings
from labeler.config.sections import SECTIONS
from labeler.config.settings import Settings

ALL = tuple(name for names in SECTIONS.values() for name in names)
STORE = ("data_dir", "database")


class SectionedCommand(click.Command):
    """A command whose settings are listed under the headings of `SECTIONS`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the settings by section."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        records = {option.name: option.get_help_record(ctx) for option in options}
        own = [record for name, record in records.items() if record and name not in ALL]
        with formatter.section("Options"):
            formatter.write_dl(own)
        for title, names in SECTIONS.items():
            rows = [record for name in names if (record := records.get(name))]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


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
            run = _option(name, UNATTENDED.get(name) if unattended else None)(run)
        return click.option(
            "--config", metavar="FILE.toml", type=Path, help="Settings as a TOML file."
        )(run)

    return decorate


def _option(name: str, default: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A flag for a setting, whose own default is another one for this command, perhaps."""
    field = Settings.model_fields[name]
    text = field.description or ""
    default = field.default if default is None else default
    if default is not None and "Default" not in text:
        text += f" Default: {default}."
    kinds = {"Path": "PATH", "int": "N", "float": "X"}
    named = str(field.annotation)
    metavar = next((kinds[kind] for kind in kinds if kind in named), "TEXT")
    flag = "--" + name.replace("_", "-")
    return click.option(flag, name, default=None, metavar=metavar, help=text)
