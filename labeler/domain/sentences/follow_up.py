"""What is said of a follow-up: why this prompt, and how far the new version moved with the vote."""

import math

# Beyond that a figure promises what nobody would see: a reply has many tokens, and each of them
# counts.
MAX_TIMES = 10


def followed(live: int, votes: int, gain: float) -> str:
    """How it was picked and what it shows; `gain` is in nats.

    >>> followed(4, 6, 1.2)
    'Of your 6 votes that made version 4, it moved furthest with this one: between these two \
replies, the one you chose is now 3.3 times as likely.'
    >>> followed(4, 1, 9.0)
    'Your vote helped to make version 4: between these two replies, the one you chose is now much \
more likely.'
    """
    picked = f"Of your {votes} votes that made version {live}, it moved furthest with this one"
    if votes == 1:
        picked = f"Your vote helped to make version {live}"
    return f"{picked}: between these two replies, the one you chose is now {_more(gain)}."


def _more(gain: float) -> str:
    """The odds of one reply against the other, after over before."""
    times = math.exp(min(gain, math.log(MAX_TIMES)))
    return f"{times:.1f} times as likely" if times < MAX_TIMES else "much more likely"
