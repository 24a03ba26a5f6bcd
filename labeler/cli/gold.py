"""Gold pairs: `livedpo gold add FILE`, `list`, `remove N`."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import click

from labeler.cli.options import STORE, SectionedCommand, existing_store, settings_options
from labeler.cli.reading import file_options, would_take
from labeler.config.settings import Settings
from labeler.domain.sentences.figures import counted
from labeler.roles.terminal import tell, tell_lines

SNIPPET_CHARACTERS = 70
NAMED = 5  # numbers in a sentence


@click.group()
def gold() -> None:
    """Add, list and remove gold pairs: pairs of which one knows which reply is better.

    Raters get each once, among others that look the same; nothing is trained on them. The
    dashboard shows how often each rater is right.
    """


@gold.command("add", cls=SectionedCommand)
@click.argument("file", type=Path)
@file_options
@settings_options(*STORE)
def add(
    settings: Settings, file: Path, names: dict[str, str], split: str | None, dry_run: bool
) -> None:
    """Add gold pairs from FILE: JSON, CSV, Parquet or a `datasets` folder.

    A row holds `prompt` (a text or a list of messages), `better` and `worse`, or says in one of the
    shapes that labeler/README.md lists which of two replies is better. It says what it
    took the file for. Duplicates are skipped and counted, bad rows and the opposites of gold pairs
    that are there are left out and named. A running service follows at once.
    """
    from labeler.files.golds import read_golds
    from labeler.files.reading.reader import Asked

    golds, reading = read_golds(file, Asked(split, names))
    if dry_run:
        would_take(reading.understood(), f"{len(golds)} gold pairs", reading.complaint())
        return
    added = existing_store(settings).gold.add(golds, now=time.time(), rng=random.Random())
    tell_lines(reading.understood(), err=True)
    tell(f"{added.new} gold pairs added, {added.there} duplicates skipped.")
    if added.opposed:
        tell(left_out(added.opposed), err=True)
    if reading.bad_lines:
        tell(reading.complaint(), err=True)


def left_out(opposed: Sequence[int]) -> str:
    """What is said of gold pairs whose opposites, of these numbers, are handed out."""
    named = ", ".join(map(str, opposed[:NAMED]))
    more = f" and {len(opposed) - NAMED} more" if len(opposed) > NAMED else ""
    return (
        f"{counted(len(opposed), 'gold pair')} left out; the opposite is there, "
        f"as number {named}{more}. `livedpo gold remove N` takes one of those back."
    )


@gold.command("list", cls=SectionedCommand)
@settings_options(*STORE)
def list_(settings: Settings) -> None:
    """List the gold pairs: number, how many of its votes are right, the prompt."""
    for row in existing_store(settings).gold.all():
        text = " ".join(row["messages"][-1]["content"].split())[:SNIPPET_CHARACTERS]
        tell(f"{row['id']:6}  {row['right']:4} of {row['votes']:4} right  {text}")


@gold.command("remove", cls=SectionedCommand)
@click.argument("number", type=int)
@settings_options(*STORE)
def remove(settings: Settings, number: int) -> None:
    """Hand gold pair NUMBER out no more; its votes stay, and count no more.

    Adding the same pair again puts it back.
    """
    existing_store(settings).gold.remove(number, now=time.time())
    tell(f"Gold pair {number} is no longer served.")
