"""Gold pairs of a file: pairs of which one knows which reply is better.

They come as `prompt`, `better` and `worse`, or in any shape that says which of two replies is
better. What several people or rows say of the same two replies counts by majority. Good rows are
taken, bad ones are named.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from labeler.domain.labels import Opinion, heard
from labeler.domain.states import Choice
from labeler.files.reading.reader import AS_IT_IS, Asked, Reading, read, with_replies
from labeler.files.reading.said import Compared, Said
from labeler.store.records import Gold

Key = tuple[str, str, str]

MAX_REPLY_CHARS = 100_000
SWAPPED = {Choice.A: Choice.B, Choice.B: Choice.A}


def read_golds(source: Path, asked: Asked = AS_IT_IS) -> tuple[list[Gold], Reading]:
    """The gold pairs of a file, and its bad lines. Raises BadInput if nothing in it is good."""
    taken, reading = read(source, asked, with_replies)
    rows: list[tuple[int, list[Compared]]] = []
    opinions: dict[Key, list[Opinion]] = {}
    golds: list[Gold] = []
    for row in taken:
        try:
            rows.append((row.number, _compared(row.said)))
        except ValueError as error:
            reading.blame(row.number, error)
    for _, said in rows:
        for one in said:
            opinions.setdefault(_key(one), []).append(one.opinion)
    for number, said in rows:
        pairs = {_key(one): one for one in said}
        try:
            golds += [_gold(one, opinions[key]) for key, one in pairs.items()]
        except ValueError as error:
            reading.blame(number, error)
    if not golds:
        reading.refuse("gold pairs")
    return golds, reading


def _compared(said: Sequence[Said]) -> list[Compared]:
    """What a row says of two replies, these in one order. Raises ValueError for anything else."""
    found = [_in_order(one) for one in said if isinstance(one, Compared)]
    if len(found) < len(said):
        raise ValueError("one reply where there must be a better and a worse one")
    if not found:
        raise ValueError("neither reply is said to be better")
    if (
        max(len(text) for one in found for text in (one.response_a, one.response_b))
        > MAX_REPLY_CHARS
    ):
        raise ValueError(f"a reply is longer than {MAX_REPLY_CHARS} characters")
    return found


def _in_order(said: Compared) -> Compared:
    """The same with the replies in the order of their texts, so that all that is said meets."""
    if said.response_a <= said.response_b:
        return said
    choice = SWAPPED.get(said.opinion.choice, said.opinion.choice)
    opinion = replace(said.opinion, choice=choice)
    return replace(said, response_a=said.response_b, response_b=said.response_a, opinion=opinion)


def _key(said: Compared) -> Key:
    return str(said.messages), said.response_a, said.response_b


def _gold(said: Compared, opinions: Sequence[Opinion]) -> Gold:
    """The gold pair, by what more than half say. Raises ValueError if that is no reply."""
    choices = [opinion.choice for opinion in heard(opinions)]
    for choice, better, worse in (
        (Choice.A, said.response_a, said.response_b),
        (Choice.B, said.response_b, said.response_a),
    ):
        if choices.count(choice) * 2 > len(choices):
            return Gold(said.messages, better, worse)
    if Choice.A in choices or Choice.B in choices:
        raise ValueError("people disagree on which reply is better")
    raise ValueError("neither reply is said to be better")
