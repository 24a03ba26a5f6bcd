"""Gold pairs: `livedpo gold add FILE`, `list`, `remove N`, and the files that they come from.

A line of a file holds `prompt` (a text or a message list), `better` and `worse` (texts); `.jsonl`,
`.csv`, `.parquet` or a folder of `datasets`. Good lines are taken, bad ones are named.
"""

import random
import time
from pathlib import Path
from typing import Any

import click

from labeler.cli.options import STORE, SectionedCommand, settings_options
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.files.prompts import SURROGATES, PromptFile, messages_of, rows_of
from labeler.store import Store, open_store
from labeler.store.records import Gold

MAX_REPLY_CHARS = 100_000
SNIPPET_CHARACTERS = 70


@click.group()
def gold() -> None:
    """Add, list and remove gold pairs: pairs of which one knows which reply is better.

    Raters get each once, among others that look the same; nothing is trained on them. The
    dashboard shows how often each rater is right.
    """


@gold.command("add", cls=SectionedCommand)
@click.argument("file", type=Path)
@settings_options(*STORE)
def add(settings: Settings, file: Path) -> None:
    """Add gold pairs from FILE: .jsonl, .csv, .parquet or a `datasets` folder.

    A line holds `prompt` (a text or a list of messages), `better` and `worse`. Duplicates are
    skipped and counted, bad lines are left out and named. A running service follows at once.
    """
    golds, bad = read_golds(file)
    added, duplicates = _existing(settings).gold.add(golds, now=time.time(), rng=random.Random())
    click.echo(f"{added} gold pairs added, {duplicates} duplicates skipped.")
    if bad.bad_lines:
        click.echo(bad.complaint(), err=True)


@gold.command("list", cls=SectionedCommand)
@settings_options(*STORE)
def list_(settings: Settings) -> None:
    """List the gold pairs: number, how many of its votes are right, the prompt."""
    for row in _existing(settings).gold.all():
        text = " ".join(row["messages"][-1]["content"].split())[:SNIPPET_CHARACTERS]
        click.echo(f"{row['id']:6}  {row['right']:4} of {row['votes']:4} right  {text}")


@gold.command("remove", cls=SectionedCommand)
@click.argument("number", type=int)
@settings_options(*STORE)
def remove(settings: Settings, number: int) -> None:
    """Hand gold pair NUMBER out no more; its votes stay, and count no more.

    Adding the same pair again puts it back.
    """
    _existing(settings).gold.remove(number, now=time.time())
    click.echo(f"Gold pair {number} is no longer served.")


def read_golds(path: Path) -> tuple[list[Gold], PromptFile]:
    """The gold pairs of a file, and its bad lines. Raises BadInput if nothing in it is good."""
    golds: list[Gold] = []
    bad = PromptFile()
    try:
        for line, value in rows_of(path):
            try:
                golds.append(_gold_of(value))
            except ValueError as error:
                bad.bad_lines.append((line, str(error)))
    except OSError as error:
        raise BadInput(f"The file {path} cannot be read: {error.strerror or error}.") from error
    if not golds:
        raise BadInput(
            f"There is no gold pair in {path}; a line holds prompt, better and worse. "
            f"{bad.complaint()}".strip()
        )
    return golds, bad


def _gold_of(value: Any) -> Gold:
    """A line as a gold pair. Raises ValueError with what is wrong."""
    if isinstance(value, ValueError):
        raise value
    if not isinstance(value, dict) or value.get("prompt") is None:
        raise ValueError("no 'prompt'")
    better, worse = _reply(value, "better"), _reply(value, "worse")
    if better.strip() == worse.strip():
        raise ValueError("better and worse are the same")
    return Gold(messages_of(value), better, worse)


def _reply(line: dict[str, Any], name: str) -> str:
    text = line.get(name)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"no text under '{name}'")
    if len(text) > MAX_REPLY_CHARS:
        raise ValueError(f"'{name}' is longer than {MAX_REPLY_CHARS} characters")
    if SURROGATES.search(text):
        raise ValueError(f"half a character (a lone surrogate) in '{name}'")
    return text


def _existing(settings: Settings) -> Store:
    return open_store(settings.database_url, create=False)
