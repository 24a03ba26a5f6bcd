"""Ratings of other services: `livedpo pull open-webui URL`."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import click

from labeler.cli.options import SectionedCommand, settings_options
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.roles.terminal import tell


@click.group()
def pull() -> None:
    """Fetch what people rated elsewhere."""


@pull.command("open-webui", cls=SectionedCommand)
@click.argument("url")
@click.option(
    "--out",
    type=Path,
    metavar="FILE.jsonl",
    help="Where the ratings are kept. Default: open-webui.jsonl in the data dir.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Ask again so often, until it is stopped. Default: once.",
)
@settings_options("data_dir")
def open_webui(settings: Settings, url: str, out: Path | None, every: float | None) -> None:
    """Fetch the ratings of the Open WebUI at URL into a file that `livedpo train` reads.

    The key of an admin comes from OPEN_WEBUI_API_KEY. Of an edited rating the newest is kept.
    """
    from labeler.files.open_webui import KEY

    key = os.environ.get(KEY, "").strip()
    if not key:
        raise BadInput(f"Set {KEY} to an API key of an admin (Settings > Account > API keys).")
    out = out or settings.data_dir / "open-webui.jsonl"
    pull_once(url, key, out)
    if every is not None:
        from labeler.roles.process import stop_on_signals

        keep_pulling(url, key, out, every, stop_on_signals())


def keep_pulling(url: str, key: str, out: Path, every: float, stop: threading.Event) -> None:
    """Pull until told to stop. A server that does not answer is asked again."""
    while not stop.wait(every):
        try:
            pull_once(url, key, out)
        except BadInput:
            raise
        except LivedpoError as error:
            tell(str(error), err=True)


def pull_once(url: str, key: str, out: Path) -> None:
    """Fetch what there is, and say what is new."""
    from labeler.files.open_webui import fetch_ratings, keep_ratings

    kept = keep_ratings(out, fetch_ratings(url, key))
    tell(f"{kept.total} ratings in {out}: {kept.new} new, {kept.changed} changed.")
