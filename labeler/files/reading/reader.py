"""The one reader: a file's rows, told by their shape, each taken whole or named with what is wrong.

    opened (container)  ->  rows  ->  shape_of  ->  what the command takes of a row of that shape

It also says what it understood: what the file is packed in, the shape, the columns, one example.
"""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from labeler.domain.errors import BadInput
from labeler.domain.labels import UNDECIDED
from labeler.domain.messages import Messages
from labeler.domain.states import Choice
from labeler.files.reading.columns import PROMPT, TARGETS, Row, folded, mapped
from labeler.files.reading.containers import opened
from labeler.files.reading.messages import conversation, waiting
from labeler.files.reading.said import Compared, Said, asked_of_replies, of_replies
from labeler.files.reading.shapes import Shape, shape_of

MAX_REASONS, MAX_LINES = 5, 3  # named in a sentence
MAX_COLUMNS = 6
MAX_EXAMPLE_CHARS = 60
MAX_REASON_CHARS = 600  # it may quote the row


class Asked(NamedTuple):
    """How a file is to be read: which split of it, and which columns stand for ours."""

    split: str | None = None
    names: Mapping[str, str] = {}


AS_IT_IS = Asked()


class Taken(NamedTuple):
    """A conversation, what the row says of replies to it, and the row's number."""

    messages: Messages
    said: Sequence[Said] = ()
    number: int = 0


@dataclass
class Reading:
    """What was found in a file, and for each bad line its number and what is wrong."""

    source: Path
    names: Mapping[str, str]  # by our name theirs, as `--map` has them
    kind: str = ""
    unit: str = "line"
    rows: int = 0
    bad_lines: list[tuple[int, str]] = field(default_factory=list)
    shapes: Counter[str] = field(default_factory=Counter)
    used: dict[str, None] = field(default_factory=dict)
    unused: dict[str, None] = field(default_factory=dict)
    mapped: set[str] = field(default_factory=set)  # those that a row had
    example: str = ""

    def blame(self, number: int, error: ValueError) -> None:
        """Note a bad row, in its place among the others."""
        insort(self.bad_lines, (number, _cut(str(error), MAX_REASON_CHARS)))

    def complaint(self) -> str:
        """The bad lines in one sentence; empty if there are none."""
        if not self.bad_lines:
            return ""
        count = len(self.bad_lines)
        what = f"bad {self.unit} was" if count == 1 else f"bad {self.unit}s were"
        return f"{count} {what} skipped ({self._reasons()})."

    def understood(self) -> str:
        """What the file was taken for: one line, and one with an example."""
        rows = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        shapes = " and ".join(
            name if len(self.shapes) == 1 else f"{name} ({count})"
            for name, count in self.shapes.most_common()
        )
        unused = _few({name: None for name in self.unused if name not in self.used})
        beside = f"; not read: {unused}" if unused else ""
        what = f"{self.source}: {rows} of {self.kind}, read as {shapes}"
        return f"{what}, from {_few(self.used)}{beside}.\n{self.example}".strip()

    def refuse(self, wanted: str, left_out: str = "") -> NoReturn:
        """Raise BadInput: nothing of what is wanted is in the file.

        `left_out` says, in sentences, what became of the rows that are not bad.
        """
        shape = f" ({', '.join(self.shapes)})" if self.shapes else ""
        why = "" if self.rows else ": it has no rows"
        if self.bad_lines:
            why = f": {self._reasons()}"
        raise BadInput(f"There are no {wanted} in {self.source}{shape}{why}. {left_out}".strip())

    def _reasons(self) -> str:
        """Each reason once, with the first lines that it is about."""
        by_reason: dict[str, list[int]] = {}
        for line, why in self.bad_lines:
            by_reason.setdefault(why, []).append(line)
        named = [
            f"{self._lines(lines)}: {why}" for why, lines in list(by_reason.items())[:MAX_REASONS]
        ]
        more = len(by_reason) - MAX_REASONS
        return "; ".join(named) + (f"; and {more} more reasons" if more > 0 else "")

    def _lines(self, lines: Sequence[int]) -> str:
        """The first of these lines, and how many more there are."""
        named = ", ".join(str(line) for line in lines[:MAX_LINES])
        more = f" and {len(lines) - MAX_LINES} more" if len(lines) > MAX_LINES else ""
        return f"{self.unit}{'' if len(lines) == 1 else 's'} {named}{more}"


def read(
    source: Path, asked: Asked, take: Callable[[Shape, Row], Taken]
) -> tuple[list[Taken], Reading]:
    """What `take` makes of each row, and what the file was taken for.

    Raises BadInput if there is no such file or it is broken; a ValueError of `take` makes a bad
    line.
    """
    _refuse_names(asked.names)
    found = opened(source, asked.split)
    names = {ours: theirs.lower() for ours, theirs in asked.names.items()}
    reading = Reading(source, names, found.kind, found.unit)
    taken = []
    for number, value in found.rows:
        reading.rows += 1
        try:
            taken.append(_taken(value, reading, take)._replace(number=number))
        except ValueError as error:
            reading.blame(number, error)
    taken = _of_replies(taken, reading)
    if reading.rows and (missing := set(names) - reading.mapped):
        name = names[min(missing)]
        raise BadInput(f"{source} has no column '{name}', which --map names.")
    if taken:
        reading.example = _example(taken[0])
    return taken, reading


def prompt_only(shape: Shape, row: Row) -> Taken:
    """The prompt of a row, whatever is said of replies."""
    return Taken(shape.prompt(row))


def with_replies(shape: Shape, row: Row) -> Taken:
    """The prompt of a row, with what is said of replies to it."""
    if shape.said is None:
        raise ValueError(
            f"{shape.name} do not say which of two replies is better; if columns do, name them, as "
            "in `--map chosen=good,rejected=bad`"
        )
    said = shape.said(row)
    for one in said:
        if isinstance(one, Compared) and one.response_a.strip() == one.response_b.strip():
            raise ValueError("both replies are the same")
    return Taken(said[0].messages if said else shape.prompt(row), said)


def _taken(value: Any, reading: Reading, take: Callable[[Shape, Row], Taken]) -> Taken:
    """What a row says; the reading learns of it."""
    if isinstance(value, ValueError):
        raise value
    shape, row = _told_apart(value, reading)
    reading.shapes[shape.name] += 1
    try:
        taken = take(shape, row)
    except (TypeError, AttributeError, LookupError, OverflowError) as error:
        raise ValueError(f"not laid out as {shape.name} are") from error
    _note_columns(reading, shape, row)
    return taken


def _of_replies(taken: Sequence[Taken], reading: Reading) -> list[Taken]:
    """The rows without answers to questions about something else; some are bad for that."""
    questions = asked_of_replies(one for row in taken for one in row.said)
    kept = []
    for row in taken:
        try:
            kept.append(row._replace(said=of_replies(row.said, questions)))
        except ValueError as error:
            reading.blame(row.number, error)
    return kept


def _told_apart(value: Any, reading: Reading) -> tuple[Shape, Row]:
    """A row's shape, and the row with our names. A text or a list is a prompt by itself."""
    if isinstance(value, (str, list)):
        return _BARE, {"prompt": value}
    if not isinstance(value, Mapping):
        raise ValueError("neither a text, nor a list of messages, nor an object")
    row = mapped(folded(value), reading.names)
    reading.mapped |= row.keys() & reading.names.keys()
    shape = shape_of(row)
    if shape is None:
        example = next((name for name in row if name not in TARGETS), "instruction")
        raise ValueError(
            f"the columns {_few(dict.fromkeys(row))} are no shape that is read here; say which is "
            f"which, as in `--map prompt={_cut(example)}`"
        )
    return shape, row


def _note_columns(reading: Reading, shape: Shape, row: Row) -> None:
    """Add to what was read of the file and what was not."""
    theirs = reading.names
    used = [name for name in row if name in shape.columns] or list(row)
    for name in row:
        told = f"{theirs[name]} as {name}" if name in theirs else name
        (reading.used if name in used else reading.unused).setdefault(told)


def _refuse_names(names: Mapping[str, str]) -> None:
    unknown = next((name for name in names if name not in TARGETS), None)
    if unknown is not None:
        raise BadInput(f"--map knows no '{unknown}'; it maps {', '.join(TARGETS)}.")


def _few(names: Mapping[str, None]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MAX_COLUMNS
    named = ", ".join(_cut(name) for name in list(names)[:MAX_COLUMNS])
    return named + (f" and {more} more" if more > 0 else "")


def _example(taken: Taken) -> str:
    """A prompt, and what was said of replies to it, in a line."""
    prompt = f'For example "{_cut(taken.messages[-1]["content"])}"'
    earlier = len(taken.messages) - 1
    after = f" after {earlier} message{'' if earlier == 1 else 's'}" if earlier else ""
    said = _verdict(taken.said[0]) if taken.said else ""
    return f"{prompt}{after}{said}"


def _verdict(said: Said) -> str:
    if not isinstance(said, Compared):
        return f': "{_cut(said.reply)}" is {"good" if said.good else "bad"}'
    texts = [_cut(said.response_a), _cut(said.response_b)]
    choice = said.opinion.choice
    if choice in UNDECIDED or choice is Choice.SKIP:
        return f': "{texts[0]}" and "{texts[1]}", {choice.replace("_", " ")}'
    better, worse = texts if choice is Choice.A else texts[::-1]
    return f': "{better}" over "{worse}"'


def _cut(text: str, most: int = MAX_EXAMPLE_CHARS) -> str:
    """The text on one line, at most so many characters of it."""
    words = " ".join(text.split())
    return words if len(words) <= most else words[: most - 1] + "…"


_BARE = Shape("texts", lambda _: True, PROMPT, lambda row: waiting(conversation(row["prompt"])))
