"""Judges for tests, as a user would write them: `--judge py:tests.support.judges:longer`."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Any


def longer(prompt: list[dict[str, Any]], first: str, second: str) -> float:
    """Loves length, and nothing else."""
    return 0.5 if len(first) == len(second) else float(len(first) > len(second))


def steady(prompt: list[dict[str, Any]], first: str, second: str) -> float:
    """A taste without a pattern, the same whichever comes first."""
    return float(_rank(first) > _rank(second))


def in_front(prompt: list[dict[str, Any]], first: str, second: str) -> bool:
    """Prefers what stands first, whatever it says."""
    return True


def stuck(prompt: list[dict[str, Any]], first: str, second: str) -> None:
    """Leaves its note, and is not heard of again."""
    _note()
    threading.Event().wait()


def moody(prompt: list[dict[str, Any]], first: str, second: str) -> float | None:
    """As `steady`, but of one pair in eight it says nothing, and over one in eight it breaks."""
    mood = int(_rank(first + second)[0], 16)
    if mood < 2:
        raise ValueError("not today")
    return None if mood < 4 else steady(prompt, first, second)


def absent(prompt: list[dict[str, Any]], first: str, second: str) -> None:
    """Never says anything."""


def _note() -> None:
    with (Path(os.environ["LIVEDPO_DATA_DIR"]) / "asked").open("a") as notes:
        notes.write(f"{os.getpid()}\n")


def _rank(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
