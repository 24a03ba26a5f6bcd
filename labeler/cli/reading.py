"""What every command that reads a file asks and says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from labeler.roles.terminal import tell, tell_lines

MAPS = "OURS=THEIRS,…"


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--map`, `--split` and `--dry-run`, as `names`, `split` and `dry_run`."""
    options = (
        click.option(
            "--map",
            "names",
            metavar=MAPS,
            default="",
            callback=_names,
            help="What the file calls our columns: prompt=instruction,chosen=better. "
            "`prompt=data.text` names a column within another one.",
        ),
        click.option(
            "--split",
            metavar="NAME",
            help="Which split of a data set, or CONFIG/NAME; needed if it has several.",
        ),
        click.option(
            "--dry-run", is_flag=True, help="Say what the file is taken for, and take nothing."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def would_take(understood: str, what: str, left_out: str) -> None:
    """Say what a dry run found."""
    tell_lines(understood)
    tell(f"{what} would be taken; this was a dry run.")
    if left_out:
        tell(left_out, err=True)


def _names(_: click.Context, option: click.Parameter, text: str) -> dict[str, str]:
    """Our names, each with the file's own."""
    found = {}
    for pair in text.split(",") if text else []:
        ours, equals, theirs = (part.strip() for part in pair.partition("="))
        if not (ours and equals and theirs):
            raise click.BadParameter(f"'{pair}' is not of the form {MAPS[:11]}.", param=option)
        found[ours.lower()] = theirs
    return found
