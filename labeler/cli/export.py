"""livedpo export: the labelled pairs as a file, a folder, or a data set of the hub."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labeler.cli.options import STORE, SectionedCommand, existing_store, settings_options
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.states import Source
from labeler.files.export.formats import EVERY_FORMAT, FILLED, IMPORTED, Wanted
from labeler.files.export.hub import refuse_upload, upload
from labeler.files.export.write import write_export
from labeler.roles.interrupt import cleaning_up
from labeler.roles.terminal import tell

if TYPE_CHECKING:
    from labeler.store.views.exported import VoteRow


@click.command(cls=SectionedCommand)
@click.argument("out", type=Path, required=False)
@click.option(
    "--format",
    "format_name",
    type=click.Choice([*EVERY_FORMAT]),
    default="preference",
    show_default=True,
    help="; ".join(f"{name}: {form.about}" for name, form in EVERY_FORMAT.items()) + ".",
)
@click.option(
    "--labels",
    type=click.Choice(["human", "judge", "all"]),
    default="all",
    show_default=True,
    help="Whose labels.",
)
@click.option(
    "--to-hub",
    "repo",
    metavar="REPO",
    help="Send the folder to this data set of the Hugging Face hub. A new one is private.",
)
@settings_options(*STORE)
def export(
    settings: Settings, out: Path | None, format_name: str, labels: str, repo: str | None
) -> None:
    """Write the labelled pairs to OUT: a .jsonl, .json or .parquet file, or a new folder.

    A file of that name is replaced. A folder has a card, which says where the labels come from,
    and what the program that it is made for asks for. Undone votes are in the raw format only.
    """
    if out is None and repo is None:
        raise BadInput("Name OUT, a file or a new folder, or --to-hub REPO.")
    if format_name in (FILLED, IMPORTED) and labels != "all":
        raise BadInput(f"The format '{format_name}' holds no labels of anybody; omit --labels.")
    if repo is not None:
        if out is not None and out.suffix:
            raise BadInput(f"--to-hub sends a folder; leave out {out}, or name a folder.")
        refuse_upload(repo)
    store, source = existing_store(settings), None if labels == "all" else Source(labels)
    wanted = Wanted(store, source, watched(store.exports.count(source=source)))
    with cleaning_up():
        if out is not None:
            _write(wanted, out, format_name, f"written to {out}")
            if repo is not None:
                _send(out, repo)
            return
        assert repo is not None
        with tempfile.TemporaryDirectory(prefix="livedpo-") as place:
            _write(wanted, Path(place) / "export", format_name, f"written for {repo}")
            _send(Path(place) / "export", repo)


def _write(wanted: Wanted, out: Path, format_name: str, where: str) -> None:
    written = write_export(out, wanted, format_name=format_name)
    for sentence in written.told:
        tell(sentence, err=True)
    tell(f"{written.rows} rows {where}.")


def _send(folder: Path, repo: str) -> None:
    tell(f"Sent to {upload(folder, repo)}.")


def watched(total: int) -> Callable[[Iterable[VoteRow]], Iterable[VoteRow]]:
    """Show on a terminal how many of the votes have passed by."""
    from tqdm import tqdm

    def watch(votes: Iterable[VoteRow]) -> Iterable[VoteRow]:
        quiet = not sys.stderr.isatty()
        yield from tqdm(votes, total=total, unit=" votes", desc="export", disable=quiet)

    return watch
