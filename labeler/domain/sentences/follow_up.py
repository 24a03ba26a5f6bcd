"""What is said of a follow-up: why this prompt, and how far the new version moved with the vote."""

import math

MAX_TIMES = 1_000


def followed(live: int, votes: int, gain: float) -> str:
    """How it was picked and what it shows; `gain` is in nats.

    >>> followed(4, 6, 1.2)
    'Of your 6 votes that made version 4, it moved furthest with this one: between these two \
replies, the one you chose is now 3.3 times as likely.'
    >>> followed(4, 1, 9.0)
    'Your vote helped to make version 4: between these two replies, the one you chose is now more \
than 1,000 times as likely.'
    """
    picked = f"Of your {votes} votes that made version {live}, it moved furthest with this one"
    if votes == 1:
        picked = f"Your vote helped to make version {live}"
    return (
        f"{picked}: between these two replies, the one you chose is now {_times(gain)} as likely."
    )


def _times(gain: float) -> str:
    """The odds of one reply against the other, after over before."""
    if gain > math.log(MAX_TIMES):
        return f"more than {MAX_TIMES:,} times"
    times = math.exp(gain)
    return f"{times:.1f} times" if times < 10 else f"{times:.0f} times"
