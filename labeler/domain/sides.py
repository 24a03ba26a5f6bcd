"""Which response stands on which side, and back again. Pure: chance comes in as an argument."""

import random

from labeler.domain.errors import BadInput
from labeler.domain.states import Choice

SCREEN_CHOICES = ("left", "right", "tie", "both_bad", "skip")


def shown_left(rng: random.Random) -> str:
    """`a` or `b`, each half of the time: the response that stands on the left."""
    return rng.choice("ab")


def stored_choice(screen_choice: str, left: str) -> Choice:
    """The choice in stored order. `left` is the response that stood on the left.

    >>> stored_choice("left", "b")
    <Choice.B: 'b'>
    """
    if screen_choice not in SCREEN_CHOICES:
        raise BadInput(f"'{screen_choice}' is no choice; use one of {', '.join(SCREEN_CHOICES)}.")
    if screen_choice in ("left", "right"):
        return Choice.A if (screen_choice == "left") == (left == "a") else Choice.B
    return Choice(screen_choice)


def screen_choice(choice: Choice, left: str) -> str:
    """The choice as it was seen; the inverse of `stored_choice`.

    >>> screen_choice(Choice.B, "b")
    'left'
    """
    if choice in (Choice.A, Choice.B):
        return "left" if choice.value == left else "right"
    return choice.value
