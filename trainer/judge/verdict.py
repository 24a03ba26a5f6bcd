"""Reads the answer of a language model that was asked for one letter: A, B, or C for a tie.

    the body of a chat completion -> `Reply` -> `Answer`: P(A is better), or None and why not

The whole answer must be the verdict. A search for a letter finds one in any sentence, and a C in
"CORRECT". Pure: who asks is in `trainer.judge.api`.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from labeler.domain.judging import Cause

MIN_LETTER_MASS = 0.5  # of the probability at the place of the letter, else it is no verdict

_WRAP = r"[\s*_`\"'()\[\]{}<>.:#]*"
_VERDICT = re.compile(
    rf"{_WRAP}(?:(?:the|my)\s+)?(?:(?:final|better)\s+)?"
    rf"(?:(?:answer|verdict|winner|choice|better|reply|response)\b(?:\s+is\b)?{_WRAP})?"
    rf"(?:(?:reply|response)\b{_WRAP})?(?P<letter>A|B|C|tie){_WRAP}",
    re.IGNORECASE | re.ASCII,
)
_THOUGHT = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_OPEN_THOUGHT = re.compile(r"\s*<think", re.IGNORECASE)
# What a token may wear around its letter; the last two are how BPE writes a space.
_DRESS = " \t\r\n*_`\"'()[]{}<>.:#\u2581\u0120"
_SHARE_OF_A = {"A": 1.0, "B": 0.0, "C": 0.5}


class _Likely(BaseModel):
    token: str
    logprob: float = Field(le=0.01)  # zero, with the rounding of the server


class _Token(_Likely):
    top_logprobs: list[_Likely] | None = None


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Message(BaseModel):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(BaseModel):
    message: _Message
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class Reply(BaseModel):
    """The part of a chat completion that is read here; another shape does not validate."""

    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None

    @property
    def tokens(self) -> int:
        """What it cost, prompt and answer; 0 where the server does not say."""
        total = self.usage.get("total_tokens") if isinstance(self.usage, dict) else None
        return total if isinstance(total, int) and total > 0 else 0

    @property
    def is_cut_thought(self) -> bool:
        """Whether the limit came before the end of its thoughts."""
        choice = self.choices[0]
        message = choice.message
        text = message.content or ""
        thinks = message.reasoning_content or message.reasoning or _OPEN_THOUGHT.match(text)
        return choice.finish_reason == "length" and bool(thinks) and letter_of(text) is None


@dataclass(frozen=True)
class Answer:
    """P(reply A is better) of one request, or None for a cause, with what it cost.

    `said` is what the server told of an error.
    """

    probability: float | None
    cause: Cause | None = None
    said: str = ""
    requests: int = 0
    tokens: int = 0


def answer_of(reply: Reply) -> Answer:
    """The verdict of a reply: from the log-probs of its letter if it has them, else the letter.

    A tie that is likelier than either reply is 0.5 and no other number, for what is left and right
    of it is noise. UNCLEAR if the answer is no verdict, or the letters have little of the mass.
    """
    choice = reply.choices[0]
    letter = letter_of(choice.message.content or "")
    if letter is None:
        return Answer(None, Cause.UNCLEAR)
    tokens = (choice.logprobs.content if choice.logprobs else None) or []
    at_letter = next((token for token in reversed(tokens) if _letter(token.token) == letter), None)
    if at_letter is None:
        return Answer(_SHARE_OF_A[letter])
    mass = _mass(at_letter)
    total = sum(mass.values())
    if total < MIN_LETTER_MASS:
        return Answer(None, Cause.UNCLEAR)
    if mass["C"] > max(mass["A"], mass["B"]):
        return Answer(0.5)
    return Answer((mass["A"] + mass["C"] / 2) / total)


def letter_of(text: str) -> str | None:
    """A, B, or C of an answer that is a verdict and nothing else, after its thoughts if it has any.

    >>> [letter_of(text) for text in ("**B**", '{"winner": "A"}', "Answer: C", "[[a]]", "tie")]
    ['B', 'A', 'C', 'A', 'C']
    >>> [letter_of(text) for text in ("CORRECT", "A or B", "A is better", "A good reply", "")]
    [None, None, None, None, None]
    """
    match = _VERDICT.fullmatch(_THOUGHT.sub("", text, count=1))
    if match is None:
        return None
    return "C" if match["letter"].lower() == "tie" else match["letter"].upper()


def _letter(token: str) -> str:
    return token.strip(_DRESS).upper()


def _mass(place: _Token) -> dict[str, float]:
    """Probability of each letter at its place, over the ways of writing it as a token."""
    likely = {place.token: place.logprob}
    likely |= {other.token: other.logprob for other in place.top_logprobs or []}
    mass = dict.fromkeys(_SHARE_OF_A, 0.0)
    for token, logprob in likely.items():
        if _letter(token) in mass:
            mass[_letter(token)] += math.exp(logprob)
    return mass
