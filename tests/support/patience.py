"""Waiting for a state: as long as it takes, on a machine however slow."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

PATIENCE_SECONDS = 240.0  # guards against hanging; no test says how fast something must be


def wait_until(condition: Callable[[], Value], what: str = "it") -> Value:
    """The condition's value, as soon as it is true."""
    pause, end = threading.Event(), time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE_SECONDS} s for {what}")
        pause.wait(0.1)
    return value
