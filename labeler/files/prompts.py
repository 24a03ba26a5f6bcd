"""Prompt files: JSONL, CSV, Parquet or a `datasets` folder, texts or message lists.

Good lines are taken, bad ones are named. What a line may hold: a JSON string; an object with
`prompt` (a string or a message list) or with `messages` (a conversation, whose last reply is left
out). Whether a prompt fits the model's context is for the worker to say, which knows the tokenizer.
"""

import contextlib
import csv
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from labeler.config.policies import first_prompts
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.messages import ALIASES, SPEAKERS, Messages
from labeler.store import Store

MAX_PROMPT_CHARS = 1_000_000
MAX_NAMED = 5  # bad lines, in a sentence
SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass
class PromptFile:
    """What was found in a file: prompts, and for each bad line its number and what is wrong."""

    prompts: list[Messages] = field(default_factory=list)
    bad_lines: list[tuple[int, str]] = field(default_factory=list)

    def complaint(self) -> str:
        """The bad lines in one sentence; empty if there are none."""
        if not self.bad_lines:
            return ""
        named = "; ".join(f"line {line}: {why}" for line, why in self.bad_lines[:MAX_NAMED])
        more = len(self.bad_lines) - MAX_NAMED
        rest = f"; and {more} more" if more > 0 else ""
        return f"{len(self.bad_lines)} bad lines were skipped ({named}{rest})."


def read_prompts(path: Path) -> PromptFile:
    """Read a prompt file. Raises BadInput if there is none, or nothing good in it."""
    found = PromptFile()
    try:
        for line, value in rows_of(path):
            try:
                found.prompts.append(messages_of(value))
            except ValueError as error:
                found.bad_lines.append((line, str(error)))
    except OSError as error:
        raise BadInput(
            f"The prompt file {path} cannot be read: {error.strerror or error}."
        ) from error
    if not found.prompts:
        why = found.complaint() or "It is empty."
        raise BadInput(f"There are no usable prompts in {path}. {why}")
    return found


def add_first_prompts(settings: Settings, store: Store, say: Callable[[str], None]) -> None:
    """Add the prompts of `--prompts`, or those to begin with to a database that has none."""
    path = settings.prompts
    if path is None and store.prompts.any():
        return
    found = read_prompts(path or first_prompts(settings.policy))
    added, duplicates = store.prompts.add(found.prompts, now=time.time())
    if added:
        say(f"{added} prompts added, {duplicates} were already there. {found.complaint()}".strip())


def rows_of(path: Path) -> Iterator[tuple[int, Any]]:
    """Number (from 1) and content of each row of a file; a ValueError stands for an unreadable one.

    Raises BadInput if the file is missing, or of no kind that is read here.
    """
    if not path.exists():
        raise BadInput(f"There is no file {path}.")
    if path.is_dir():
        yield from _numbered(_dataset_folder(path))
    elif path.suffix == ".jsonl":
        yield from _json_lines(path)
    elif path.suffix == ".csv":
        yield from _csv_lines(path)
    elif path.suffix == ".parquet":
        yield from _numbered(_parquet(path))
    else:
        raise BadInput(f"{path} is not a .jsonl, .csv or .parquet file, nor a `datasets` folder.")


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, ValueError("not JSON")


def _csv_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Rows by the line that they end on; a cell may hold a message list as JSON."""
    csv.field_size_limit(MAX_PROMPT_CHARS * 2)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            for row in rows:
                cells: dict[str, Any] = dict(row)
                for name in ("prompt", "messages"):
                    if str(cells.get(name, "")).lstrip().startswith("[{"):
                        with contextlib.suppress(ValueError):
                            cells[name] = json.loads(cells[name])
                yield rows.line_num, cells
        except (csv.Error, UnicodeDecodeError) as error:
            where = f"{path} is not valid UTF-8 CSV after line {rows.line_num}"
            raise BadInput(f"{where}: {error}.") from error


def _numbered(rows: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    return enumerate(rows, start=1)


def _parquet(path: Path) -> Iterable[Any]:
    import pyarrow.parquet
    from pyarrow.lib import ArrowInvalid

    try:
        rows: list[Any] = pyarrow.parquet.read_table(path).to_pylist()
    except ArrowInvalid as error:
        raise BadInput(f"{path} is not a Parquet file: {error}.") from error
    return rows


def _dataset_folder(path: Path) -> Iterable[Any]:
    import datasets

    try:
        found = datasets.load_from_disk(str(path))
    except (FileNotFoundError, ValueError) as error:
        raise BadInput(f"{path} is not a folder saved by `datasets`.") from error
    splits = found.values() if isinstance(found, datasets.DatasetDict) else [found]
    return chain.from_iterable(splits)


def messages_of(value: Any) -> Messages:
    """A line as a conversation that waits for a reply. Raises ValueError with what is wrong."""
    if isinstance(value, ValueError):
        raise value
    if isinstance(value, dict):
        value = _prompt_of(value)
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise ValueError("neither a text nor a list of messages")
    messages = [_message(message) for message in value]
    if messages[-1]["role"] == "system":
        raise ValueError("the last message is from the system")
    if sum(len(message["content"]) for message in messages) > MAX_PROMPT_CHARS:
        raise ValueError(f"longer than {MAX_PROMPT_CHARS} characters")
    return messages


def _prompt_of(line: dict[str, Any]) -> Any:
    if line.get("prompt") is not None:
        return line["prompt"]
    if isinstance(line.get("messages"), list):
        messages = line["messages"]
        replied = messages and isinstance(messages[-1], dict)
        return messages[:-1] if replied and messages[-1].get("role") == "assistant" else messages
    raise ValueError("no 'prompt' and no 'messages'")


def _message(message: Any) -> dict[str, str]:
    role = message.get("role") if isinstance(message, dict) else None
    role = ALIASES.get(role, role) if isinstance(role, str) else None
    if role not in SPEAKERS:
        raise ValueError(f"a message needs one of the roles {', '.join(SPEAKERS)}")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        raise ValueError("empty text")
    if SURROGATES.search(content):
        raise ValueError("half a character (a lone surrogate)")
    return {"role": role, "content": content}
