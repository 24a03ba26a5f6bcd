"""Prompts: `livedpo prompts add FILE`, `list`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labeler.cli.options import STORE, SectionedCommand, any_store, existing_store, settings_options
from labeler.cli.reading import file_options, would_take
from labeler.config.settings import Settings
from labeler.roles.terminal import tell, tell_lines

if TYPE_CHECKING:
    from labeler.files.reading.reader import Asked

SNIPPET_CHARACTERS = 80


@click.group()
def prompts() -> None:
    """Add or list the prompts that pairs are sampled for."""


@prompts.command("add", cls=SectionedCommand)
@click.argument("file", type=Path)
@file_options
@settings_options(*STORE)
def add(
    settings: Settings, file: Path, names: dict[str, str], split: str | None, dry_run: bool
) -> None:
    """Add prompts from FILE: JSON, CSV, Parquet, text, a `datasets` folder, or a data set's hub id.

    A row holds a text or a list of messages under `prompt`, or has one of the shapes that
    labeler/README.md lists. It says what it took the file for. Duplicates are skipped and counted,
    bad rows are left out and named.
    """
    from labeler.files.reading.reader import Asked

    add_prompts(settings, file, Asked(split, names), dry_run=dry_run)


def add_prompts(settings: Settings, file: Path, asked: Asked, *, dry_run: bool) -> None:
    """Add the prompts of a file, and say what came of it."""
    from labeler.files.prompts import read_prompts

    found = read_prompts(file, asked)
    complaint = found.reading.complaint()
    if dry_run:
        would_take(found.reading.understood(), f"{len(found.prompts)} prompts", complaint)
        return
    added, duplicates = any_store(settings).prompts.add(found.prompts, now=time.time())
    tell_lines(found.reading.understood(), err=True)
    tell(f"{added} prompts added, {duplicates} duplicates skipped.")
    if complaint:
        tell(complaint, err=True)


@prompts.command("list", cls=SectionedCommand)
@settings_options(*STORE)
def list_(settings: Settings) -> None:
    """List the prompts: number, how often sampled, the last message."""
    for prompt in existing_store(settings).prompts.all():
        text = " ".join(prompt.messages[-1]["content"].split())[:SNIPPET_CHARACTERS]
        aside = f"  [set aside: {prompt.set_aside}]" if prompt.set_aside else ""
        tell(f"{prompt.id:6} {prompt.pairs_sampled:5}x  {text}{aside}")
