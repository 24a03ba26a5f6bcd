"""Five simple tastes: which of two replies a scripted rater prefers, and the trait that shows it.

They are what people ask of a model first, can be told by a rule, and need no judge. None of them
says what a good reply is: they are there to see whether the policy follows.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

LIST_LINE = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
WORD = re.compile(r"[A-Za-z']+")
LONG_WORD = 7  # letters
PERSONAL = re.compile(
    r"(?i:i|i'm|i'd|i'll|me|my|we|we're|let's|us|our|your?|yours|yourself|you'(?:re|ll|d|ve)|glad"
    r"|happy|hope|great|love|thanks?|friend|dear|wonderful|please|enjoy|sorry)"
)
SHORT = 8  # words; in fewer, one warm word is not more than in so many
END = 100  # characters


@dataclass(frozen=True)
class Taste:
    """`likes` ranks a reply; `trait` is what is counted, and `is_share` whether it is 0 or 1.

    A preference for less of a trait has a `sign` of -1.
    """

    title: str
    likes: Callable[[str], float]
    trait: Callable[[str], float]
    unit: str
    is_share: bool
    sign: int


def words(text: str) -> int:
    """How many words a reply has."""
    return len(text.split())


def list_lines(text: str) -> int:
    """How many lines are points of a list."""
    return len(LIST_LINE.findall(text))


def warmth(text: str) -> float:
    """Share of words that speak to somebody, or warmly."""
    said = WORD.findall(text)
    return sum(map(bool, map(PERSONAL.fullmatch, said))) / max(SHORT, len(said))


def asks(text: str) -> float:
    """3 if it ends with a question, 1 if one is near its end, 0.5 if it has one, else 0."""
    text = text.rstrip()
    if text.endswith("?"):
        return 3.0
    return 1.0 if "?" in text[-END:] else 0.5 if "?" in text else 0.0


def long_words(text: str) -> float:
    """Share of words of seven letters and more."""
    said = WORD.findall(text)
    return sum(len(word) >= LONG_WORD for word in said) / max(1, len(said))


TASTES = {
    "shorter": Taste("Shorter", lambda t: -words(t), words, "words", False, -1),
    "no-lists": Taste("No lists", lambda t: -list_lines(t), list_lines, "points", False, -1),
    "warm": Taste("Warm and personal", warmth, warmth, "of words", False, 1),
    "question": Taste(
        "Ends with a question", asks, lambda t: float(t.rstrip().endswith("?")), "", True, 1
    ),
    "plain": Taste("Plain words", lambda t: -long_words(t), long_words, "of words", False, -1),
}
