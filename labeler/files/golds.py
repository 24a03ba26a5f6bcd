"""Gold pairs of a file: pairs of which one knows which reply is better.

They come as `prompt`, `better` and `worse`, or in any shape that says which of two replies is
better. Good rows are taken, bad ones are named.
"""

from pathlib import Path

from labeler.domain.states import Choice
from labeler.files.reading.columns import Row
from labeler.files.reading.reader import AS_IT_IS, Asked, Reading, Taken, read, with_replies
from labeler.files.reading.said import Compared
from labeler.files.reading.shapes import Shape
from labeler.store.records import Gold

MAX_REPLY_CHARS = 100_000


def read_golds(source: Path, asked: Asked = AS_IT_IS) -> tuple[list[Gold], Reading]:
    """The gold pairs of a file, and its bad lines. Raises BadInput if nothing in it is good."""
    taken, reading = read(source, asked, _decided)
    golds = [_gold(said) for row in taken for said in row.said if isinstance(said, Compared)]
    if not golds:
        reading.refuse("gold pairs")
    return golds, reading


def _decided(shape: Shape, row: Row) -> Taken:
    """A row that says which of two replies is better."""
    taken = with_replies(shape, row)
    for said in taken.said:
        if not isinstance(said, Compared):
            raise ValueError("one reply where there must be a better and a worse one")
        if said.opinion.choice not in (Choice.A, Choice.B):
            raise ValueError("neither reply is said to be better")
        if max(len(said.response_a), len(said.response_b)) > MAX_REPLY_CHARS:
            raise ValueError(f"a reply is longer than {MAX_REPLY_CHARS} characters")
    if not taken.said:
        raise ValueError("neither reply is said to be better")
    return taken


def _gold(said: Compared) -> Gold:
    replies = said.response_a, said.response_b
    better, worse = replies if said.opinion.choice is Choice.A else replies[::-1]
    return Gold(said.messages, better, worse)
