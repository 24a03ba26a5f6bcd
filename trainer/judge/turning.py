"""Whether people have changed their minds: the newest votes contradict those before them.

A model of all votes, asked about votes that it had not seen, is right more often than a coin while
people want the same. After they have turned it is wrong more often than a coin, until the new votes
outnumber the old. No drift of the policy looks like that: on pairs that are harder to tell apart
the model comes down to a coin, and no further.

Each look is five tests, and there is one every few votes: luck has many chances, and what is
forgotten is gone. So one test must be as sure as BY_CHANCE. A model that was right on 72 % of 64
votes, or on 75 % of 100, and then came down to a coin for 256, forgot in 1 and 3 % of 1,500 runs
with a look each eight votes (at 0.02 it was 13 and 33 %). After 200 votes of which it had 75 %
right, a turn was seen within 64 in 99, 88, 60 and 31 % where it was right on 20, 25, 30 and 35 %
of these (at 0.02: in 100, 99, 94 and 77 %): nothing else tells a slow turn from a coin so soon.
"""

from collections.abc import Sequence

from labeler.stats.coin import at_least

NEWEST = (16, 24, 32, 48, 64)  # votes that may be of another taste
# How unlikely by chance, one-sided: that it is right on the older ones, and wrong on the newest.
PROVEN, BY_CHANCE = 0.001, 0.001


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
