"""What is said of a request that is not as it must be."""

from collections.abc import Sequence
from typing import Any


def sentence_of(errors: Sequence[Any]) -> str:
    """The first thing that is wrong, in one sentence; never what was sent, it may be a password."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    return f"The request is invalid: {where}: {first['msg']}."
