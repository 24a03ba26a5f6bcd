"""Keeping it: `livedpo backup FILE`, `livedpo restore FILE DIR`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from labeler.cli.options import STORE, SectionedCommand, existing_store, settings_options
from labeler.config.settings import Settings
from labeler.domain.sentences.figures import counted
from labeler.roles.interrupt import cleaning_up
from labeler.roles.terminal import tell


@click.command(cls=SectionedCommand)
@click.argument("file", type=Path)
@click.option(
    "--all-versions",
    is_flag=True,
    help="Also the folders of older versions. Default: those of the live one, its parent, "
    "candidates and kept ones.",
)
@settings_options(*STORE)
def backup(settings: Settings, file: Path, all_versions: bool) -> None:
    """Write all that this service needs to go on into one archive, FILE, while it runs.

    It holds the database, the adapters of the versions that are needed, and the settings of the
    last start. It is read back before it gets its name.
    """
    from labeler.files.backup import ADAPTERS, write_backup

    store = existing_store(settings)
    with cleaning_up():
        made = write_backup(
            settings,
            store,
            file,
            now=time.time(),
            every_version=all_versions,
            quiet=not sys.stderr.isatty(),
        )
    adapters = {name.split("/")[1] for name in made.files if name.startswith(ADAPTERS)}
    live = "no version" if made.live is None else f"version {made.live} live"
    tell(
        f"{file} holds {counted(made.votes, 'vote')}, {live} and "
        f"{counted(len(adapters), 'adapter folder')}; it was read back."
    )
    if made.pruned:
        left = counted(len(made.pruned), "older version")
        tell(f"Left out: the folders of {left}; --all-versions takes them too.")
    for lost in made.lost:
        tell(lost, err=True)


@click.command()
@click.argument("file", type=Path)
@click.argument("folder", metavar="DIR", type=Path)
def restore(file: Path, folder: Path) -> None:
    """Unpack the backup FILE into DIR, a new or empty folder, to be used as a data dir.

    The whole archive is checked before anything is written.
    """
    from labeler.files.backup import restore_backup
    from labeler.files.kept_settings import SETTINGS, started_by

    with cleaning_up():
        found = restore_backup(file, folder, quiet=not sys.stderr.isatty())
    made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.made_at))
    tell(f"{folder} is as the service was at {made}: {counted(found.votes, 'vote')}.")
    command = "serve"
    if SETTINGS in found.files:
        command = f"{started_by(folder / SETTINGS)} --config {folder / SETTINGS}"
    tell(f"Start it with `livedpo {command} --data-dir {folder}`.")
    if found.base is not None and SETTINGS not in found.files:
        tell(f"Its policy is {found.base}.")
