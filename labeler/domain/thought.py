"""What a reply says, and the thought that it may begin with: `<think>…</think>`.

People and judges compare replies without their thoughts; training has them, for they were sampled.
"""

import re
from typing import NamedTuple

OPEN, CLOSE = "<think>", "</think>"
_THOUGHT = re.compile(
    r"(?s)(?P<opening>\s*<think>)(?P<thought>.*?)(?P<closing></think>\s*|\Z)(?P<reply>.*)"
)
# Some templates open the thought themselves; its end then stands on a line of its own.
_OPENED_BEFORE = re.compile(
    r"(?ms)(?P<opening>)(?P<thought>.*?)(?P<closing>^</think>[ \t]*(?:\n\s*|\Z))(?P<reply>.*)"
)


class Parts(NamedTuple):
    """A text in four parts, which joined are the text. Without a thought only `reply` has any."""

    opening: str
    thought: str
    closing: str
    reply: str

    @property
    def head(self) -> str:
        """What stands before the reply."""
        return self.opening + self.thought + self.closing


def parts_of(text: str) -> Parts:
    """A thought that was not finished leaves no reply.

    >>> parts_of("<think>Tea?</think>\\n\\nBoil water.")
    Parts(opening='<think>', thought='Tea?', closing='</think>\\n\\n', reply='Boil water.')
    >>> parts_of("Boil water.")
    Parts(opening='', thought='', closing='', reply='Boil water.')
    """
    found = _THOUGHT.fullmatch(text) or _OPENED_BEFORE.fullmatch(text)
    return Parts(**found.groupdict()) if found else Parts("", "", "", text)


def without_thought(text: str) -> str:
    """What is said after the thought."""
    return parts_of(text).reply
