"""Whether people have changed their minds: the newest votes contradict those before them.

A model of all votes, asked about votes that it had not seen, is right more often than a coin while
people want the same. After they have turned it is wrong more often than a coin, until the new votes
outnumber the old. No drift of the policy looks like that: on pairs that are harder to tell apart
the model comes down to a coin, and no further.
"""

from collections.abc import Sequence

from labeler.stats.coin import at_least

NEWEST = (16, 24, 32, 48, 64)  # votes that may be of another taste
# How unlikely by chance, one-sided: that it is right on the older ones, and wrong on the newest.
PROVEN, BY_CHANCE = 0.001, 0.02


def turned(rights: Sequence[float]) -> int | None:
    """How many of the newest votes are of another taste than those before; None if none are.

    `rights` are 1 where the model was right, 0 where it was wrong, the newest last.

    >>> turned([1] * 40 + [0] * 16)
    16
    >>> turned([1, 0] * 40) is None
    True
    """
    found = {}
    for newest in NEWEST:
        before, since = rights[:-newest], rights[-newest:]
        if len(before) < newest or at_least(int(sum(before)), len(before)) > PROVEN:
            continue
        found[newest] = at_least(int(newest - sum(since)), newest)
    if not found:
        return None
    newest = min(found, key=lambda newest: found[newest])
    return newest if found[newest] <= BY_CHANCE else None
