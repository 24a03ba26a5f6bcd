"""To another kind of database and back: `livedpo migrate FROM TO`."""

from __future__ import annotations

import sys
import time

import click

from labeler.domain.database_url import without_password
from labeler.domain.sentences.figures import counted
from labeler.roles.interrupt import cleaning_up
from labeler.roles.terminal import tell


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def migrate(source: str, target: str) -> None:
    """Copy all rows of the database FROM into TO, which is new or empty; both are URLs.

    From sqlite:///FILE to postgresql+psycopg://USER@HOST/NAME, or back. Stop the service first.
    What was copied is counted and compared. If it fails, nothing of it stays.
    """
    from labeler.store.moving import move_rows

    with cleaning_up():
        counts = move_rows(source, target, now=time.time(), quiet=not sys.stderr.isatty())
    rows, votes = counted(sum(counts.values()), "row"), counted(counts["vote"], "vote")
    tell(f"{rows} were copied and compared, among them {votes}.")
    tell(f"Go on with `--database {without_password(target)}` and the same --data-dir.")
