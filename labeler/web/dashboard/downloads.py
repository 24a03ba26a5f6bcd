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
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse

from labeler.config.load import PREFIX
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.files.export.formats import FORMATS

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 600
CHUNK_BYTES = 256 * 1024

Format = Annotated[str, PathParameter(pattern=f"^({'|'.join(FORMATS)})$")]
Labels = Literal["human", "judge", "all"]


def formats_module() -> str:
    """The module `dashboard/formats.js` as text: each format, and what is said of it."""
    offered = json.dumps([[name, form.title, form.about] for name, form in FORMATS.items()])
    return f"export const FORMATS = {offered};\n"


def download_routes(settings: Settings) -> APIRouter:
    """The routes. One export is made at a time."""
    routes = APIRouter()
    turn = threading.Lock()

    @routes.get("/export/{format}")
    def download(format: Format, labels: Labels = "all") -> StreamingResponse:
        if not turn.acquire(blocking=False):
            raise BadInput("Another export is running. Try again in a moment.")
        try:
            file, size = _exported(settings, format, labels)
        finally:
            turn.release()
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
    """The export as an open file without a name, and its bytes. Raises LivedpoError."""
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
