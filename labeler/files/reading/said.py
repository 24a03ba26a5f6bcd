"""What a row of a file says of replies."""

from dataclasses import dataclass

from labeler.domain.labels import Opinion
from labeler.domain.messages import Messages


@dataclass(frozen=True)
class Compared:
    """Two replies to a conversation, and one opinion on them.

    `pair` is the number that votes on one pair share, where the file has one.
    """

    messages: Messages
    response_a: str
    response_b: str
    opinion: Opinion
    pair: str = ""
    ended_a: bool = True
    ended_b: bool = True


@dataclass(frozen=True)
class Thumbed:
    """One reply to a conversation, and whether it was called good."""

    messages: Messages
    reply: str
    good: bool


Said = Compared | Thumbed
