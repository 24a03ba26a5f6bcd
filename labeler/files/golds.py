"""Gold files: pairs of which one knows which reply is better.

A line holds `prompt` (a text or a message list), `better` and `worse` (texts); `.jsonl`, `.csv`,
`.parquet` or a folder of `datasets`. Good lines are taken, bad ones are named.
"""

from pathlib import Path
from typing import Any

from labeler.domain.errors import BadInput
from labeler.files.prompts import SURROGATES, PromptFile, messages_of, rows_of
from labeler.store.records import Gold

MAX_REPLY_CHARS = 100_000


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
