"""Pairs of files for the learned judge: `train FILE --use judge`, `imported list`, `remove`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from labeler.cli.options import STORE, SectionedCommand, any_store, existing_store, settings_options
from labeler.cli.reading import would_take
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.sentences.figures import counted
from labeler.roles.terminal import tell, tell_lines

if TYPE_CHECKING:
    from pathlib import Path

    from labeler.files.reading.reader import Asked


@click.group()
def imported() -> None:
    """List and remove pairs of files that teach the judge `learned` (`train FILE --use judge`).

    They are no votes of this service: no count, no export of labels and no update has them.
    """


@imported.command("list", cls=SectionedCommand)
@settings_options(*STORE)
def list_(settings: Settings) -> None:
    """List the files: when imported, how many pairs, the name."""
    for file in existing_store(settings).imported.files():
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(file.at))
        tell(f"{made}  {file.pairs:6} pairs  {file.name}")


@imported.command("remove", cls=SectionedCommand)
@click.argument("name")
@settings_options(*STORE)
def remove(settings: Settings, name: str) -> None:
    """Forget the pairs of the file NAME. The judge learns anew without them."""
    gone = existing_store(settings).imported.remove(name)
    if not gone:
        raise BadInput(f"No pairs of '{name}' are imported; `livedpo imported list` names them.")
    tell(f"{counted(gone, 'imported pair')} of {name} removed.")


def keep_for_judge(settings: Settings, file: Path, asked: Asked, *, dry_run: bool) -> None:
    """Keep the pairs of a file for the learned judge, and say so. A tie teaches it something."""
    from labeler.domain.judging import Question
    from labeler.files.pairs import read_pairs

    found = read_pairs(file, replace(settings.vote_rules, ties="learn"), asked)
    if dry_run:
        would_take(found.reading.understood(), f"{len(found.pairs)} pairs", found.left_out())
        return
    pairs = [
        (Question(pair.messages, pair.response_a, pair.response_b), pair.said)
        for pair in found.pairs
    ]
    added, known = any_store(settings).imported.add(file.name, pairs, now=time.time())
    tell_lines(found.reading.understood(), err=True)
    tell(f"{counted(added, 'pair')} kept for the judge, {counted(known, 'duplicate')} skipped.")
    if left_out := found.left_out():
        tell(left_out, err=True)
    if settings.judge != "learned" and not settings.fill:
        tell("They are used with --judge learned, and with --fill.")
