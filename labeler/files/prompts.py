"""Prompts of a file in any shape that has some, texts or message lists.

Good rows are taken, bad ones are named. Whether a prompt fits the model's context is for the worker
to say, which knows the tokenizer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labeler.config.policies import first_prompts
from labeler.config.settings import Settings
from labeler.domain.messages import Messages
from labeler.files.reading.reader import AS_IT_IS, Asked, Reading, prompt_only, read
from labeler.store import Store


@dataclass
class PromptFile:
    """What was found in a file: prompts, and what it was taken for."""

    prompts: list[Messages]
    reading: Reading

    @property
    def bad_lines(self) -> list[tuple[int, str]]:
        """The number of each bad line, and what is wrong with it."""
        return self.reading.bad_lines


def read_prompts(source: Path, asked: Asked = AS_IT_IS) -> PromptFile:
    """Read the prompts of a file. Raises BadInput if there is none, or nothing good in it."""
    taken, reading = read(source, asked, prompt_only)
    if not taken:
        reading.refuse("usable prompts")
    return PromptFile([row.messages for row in taken], reading)


def add_first_prompts(settings: Settings, store: Store, say: Callable[[str], None]) -> None:
    """Add the prompts of `--prompts`, or those to begin with to a database that has none."""
    path = settings.prompts
    if path is None and store.prompts.any():
        return
    found = read_prompts(path or first_prompts(settings.policy))
    added, duplicates = store.prompts.add(found.prompts, now=time.time())
    if added:
        for line in found.reading.understood().splitlines() if path is not None else ():
            say(line)
        complaint = found.reading.complaint()
        say(f"{added} prompts added, {duplicates} were already there. {complaint}".strip())
