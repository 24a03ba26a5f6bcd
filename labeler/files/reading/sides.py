"""Which columns are the two replies, and which of them a word chooses."""

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from labeler.domain.labels import Opinion
from labeler.domain.messages import Messages
from labeler.domain.states import Choice
from labeler.files.reading.messages import two_replies
from labeler.files.reading.said import Compared

SIDES = Choice.A, Choice.B
# Columns of two replies are called alike, and end so.
_ENDINGS = (("a", "b"), ("1", "2"), ("0", "1"), ("left", "right"), ("first", "second"))
_WORDS = {
    **dict.fromkeys(("a", "1", "left", "first"), Choice.A),
    **dict.fromkeys(("b", "2", "right", "second"), Choice.B),
    **dict.fromkeys(
        ("tie", "equal", "same", "draw", "both", "bothgood", "tiebothgood"), Choice.TIE
    ),
    **dict.fromkeys(("bothbad", "tiebothbad", "neither", "none"), Choice.BOTH_BAD),
    **dict.fromkeys(("skip", "ignore", "unsure"), Choice.SKIP),
}
_NOUN = re.compile(r"^(?:response|answer|option|text|model|completion|reply|assistant|output)")


def two_columns(names: Iterable[str]) -> tuple[str, str]:
    """The names of the two replies: alike but for their ends, such as `answer1` and `answer2`.

    Raises ValueError unless there is exactly one such pair.
    """
    found = set()
    for first, second in combinations(sorted(names), 2):
        for one, other in _ENDINGS:
            alike = first.lower().removesuffix(one) == second.lower().removesuffix(other)
            if alike and first.lower().endswith(one) and second.lower().endswith(other):
                found.add((first, second))
    if len(found) != 1:
        raise ValueError(
            "which two columns are the replies is unclear; say so, as in `--map "
            "prompt=data.question,response_a=data.x,response_b=data.y`"
        )
    return found.pop()


def choice_of(word: Any, names: tuple[str, str]) -> Choice:
    """What a word such as "left", "Response 2", "tie" or the name of a reply chooses."""
    plain, words = _plain(word), _words(names)
    sides = {_plain(name): choice for name, choice in zip(names, SIDES, strict=True)}
    choice = sides.get(plain) or words.get(plain) or words.get(_NOUN.sub("", plain))
    if choice is None:
        raise ValueError(f"{word!r} chooses neither of two replies, and says no tie")
    return choice


def _words(names: tuple[str, str]) -> dict[str, Choice]:
    """What each word chooses: the ends of the names say it themselves, numbers above all."""
    one, other = (_plain(name) for name in names)
    for ends in (*_ENDINGS, *(ends[::-1] for ends in _ENDINGS)):
        if one.endswith(ends[0]) and other.endswith(ends[1]):
            numbered = ends[0].isdigit()
            kept = {word: c for word, c in _WORDS.items() if not (numbered and word.isdigit())}
            return kept | dict(zip(ends, SIDES, strict=True))
    return _WORDS


def names_a_reply(word: Any, names: tuple[str, str]) -> bool:
    """Whether a word such as "Response 2" or the name of a reply can be about nothing else."""
    plain = _plain(word)
    bare = _NOUN.sub("", plain)
    return plain in map(_plain, names) or (bare != plain and _words(names).get(bare) in SIDES)


def compared(
    prompt: Messages, texts: tuple[Any, Any], names: tuple[str, str], choice: Choice, pair: str = ""
) -> Compared:
    """Two replies and a choice."""
    return Compared(*two_replies(prompt, *texts, names), Opinion(choice), pair)


def by_rank(
    prompt: Messages, replies: Sequence[tuple[str, Any, float]], pair: str = ""
) -> list[Compared]:
    """Every two of several replies; each is a name, a text and a rank, of which less is better.

    They come in the order of their names, so that the opinions of several people meet.
    """
    said: list[Compared] = []
    in_order = sorted(replies, key=lambda reply: reply[0])
    for (name_a, text_a, rank_a), (name_b, text_b, rank_b) in combinations(in_order, 2):
        choice = Choice.TIE if rank_a == rank_b else Choice.A if rank_a < rank_b else Choice.B
        said.append(compared(prompt, (text_a, text_b), (name_a, name_b), choice, pair))
    return said


def _plain(word: Any) -> str:
    return re.sub(r"[^a-z0-9]", "", str(word).lower())
