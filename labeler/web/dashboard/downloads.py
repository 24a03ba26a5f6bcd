"""Labels as a file to download: GET /export/{format}. The page is told which formats there are.

The export is made by `livedpo export` in a process of its own, so that nobody's vote waits while
this one reads every pair. Its file is opened and then deleted, so nothing is left behind whatever
becomes of the download.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from labeler.config.load import PREFIX
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.files.export.formats import FORMATS

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 600
CHUNK_BYTES = 256 * 1024

Format = Annotated[str, Field(pattern=f"^({'|'.join(FORMATS)})$")]
Labels = Literal["human", "judge", "all"]


def formats_module() -> str:
    """The module `dashboard/formats.js` as text: each format, and what is said of it."""
    offered = json.dumps([[name, form.title, form.about] for name, form in FORMATS.items()])
    return f"export const FORMATS = {offered};\n"


class Exporter:
    """Makes exports, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = threading.Lock()

    def make(self, format_name: str, labels: str) -> tuple[BinaryIO, int]:
        """The export as an open file without a name, and its bytes. Raises LivedpoError."""
        if not self._turn.acquire(blocking=False):
            raise BadInput("Another export is running. Try again in a moment.")
        try:
            return _exported(self._settings, format_name, labels)
        finally:
            self._turn.release()


def download_routes(exporter: Exporter) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/export/{format}")
    def download(format: Format, labels: Labels = "all") -> StreamingResponse:
        file, size = exporter.make(format, labels)
        name = f"livedpo-{format}-{labels}{FORMATS[format].ending}"
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            "content-length": str(size),
            "cache-control": "no-store",
        }
        kind = "application/" + FORMATS[format].ending.removeprefix(".")
        return StreamingResponse(_chunks(file), media_type=kind, headers=headers)

    return routes


def _exported(settings: Settings, format_name: str, labels: str) -> tuple[BinaryIO, int]:
    with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".export-") as folder:
        out = Path(folder) / f"labels{FORMATS[format_name].ending}"
        command = [sys.executable, "-m", "labeler.cli.main", "export", str(out)]
        options = ["--format", format_name, "--labels", labels]
        # In the environment, for a command line can be read by everybody on the machine.
        place = {"DATA_DIR": str(settings.data_dir), "DATABASE": settings.database_url}
        environment = os.environ | {PREFIX + name: value for name, value in place.items()}
        try:
            run = subprocess.run(
                [*command, *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LivedpoError(
                f"The export took more than {PATIENCE_SECONDS} seconds. Use `livedpo export`."
            ) from error
        if run.returncode != 0:
            log.warning("The export of '%s' failed: %s", format_name, run.stderr.strip())
            raise _refusal(run.stderr)
        return out.open("rb"), out.stat().st_size


def _refusal(said: str) -> LivedpoError:
    """What the command said, in its own sentence."""
    last = said.strip().splitlines()[-1:] or [""]
    sentence = last[0].removeprefix("livedpo: ")
    if not last[0].startswith("livedpo: "):
        return LivedpoError("The export failed. The web log has the details.")
    return BadInput(sentence)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
