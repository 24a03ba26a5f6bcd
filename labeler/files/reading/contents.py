"""The content of a file: its bytes unpacked, as text where it is text, and what else it may be."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from labeler.domain.errors import BadInput, first_line

HEAD_BYTES = 4096
UTF16 = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"
_BINARY = (b"PAR1", b"ARROW1")
# What a file is that begins so, whatever its ending says, and what to do about it.
_OTHERS = {
    b"version https://git-lfs": "a Git LFS pointer without its content; run `git lfs pull`",
    b"<!doctype html": "an HTML page, so the download went wrong",
    b"<html": "an HTML page, so the download went wrong",
    b"pk\x03\x04": "a ZIP archive or a spreadsheet; unpack it, or save it as CSV or JSONL",
    b"%pdf": "a PDF; save its texts as JSONL",
    b"sqlite format 3": "an SQLite database; export it as CSV or JSONL",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first",
    b"bzh": "compressed with bzip2; unpack it first",
    b"\xfd7zxz": "compressed with xz; unpack it first",
}


@contextmanager
def looked_at(path: Path) -> Iterator[None]:
    """Ask within whether something is there. Raises BadInput if that cannot be known."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error


def ending_of(path: Path) -> str:
    """The ending in lower case, without that of gzip."""
    ending = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if ending == ".gz" else ending


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, also if it is packed by gzip. Raises BadInput if it cannot be read."""
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == _GZIP
            file.seek(0)
            if is_packed:
                with gzip.GzipFile(fileobj=file) as content:
                    yield cast(IO[bytes], content)
            else:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or first_line(error)
        raise BadInput(f"{path} cannot be read: {why}.") from error


@contextmanager
def text_of(path: Path) -> Iterator[IO[str]]:
    """The text of a file: UTF-8, with or without a byte-order mark, or UTF-16 with one.

    Lines end as they end in the file.
    """
    with unpacked(path) as content:
        encoding = "utf-16" if content.read(2) in UTF16 else "utf-8-sig"
        content.seek(0)
        try:
            with io.TextIOWrapper(content, encoding=encoding, newline="") as text:
                yield text
        except UnicodeDecodeError as error:
            raise BadInput(f"{path} is not UTF-8 ({error.reason}); save it as UTF-8.") from error


def refuse_others(path: Path, *, binary: bool) -> None:
    """Raise BadInput if a file is empty, or its first bytes are those of another kind."""
    with unpacked(path) as content:
        head = content.read(HEAD_BYTES)
    if not head:
        raise BadInput(f"{path} is empty.")
    start = head.lstrip().lower()
    for mark, what in _OTHERS.items():
        if start.startswith(mark):
            raise BadInput(f"{path} is {what}.")
    if binary:
        return
    if head.startswith(_BINARY):
        raise BadInput(f"{path} is a Parquet or Arrow file; name it .parquet or .arrow.")
    if b"\0" in head and not head.startswith(UTF16):
        raise BadInput(f"{path} is no text, or UTF-16 without a byte-order mark; save it as UTF-8.")
