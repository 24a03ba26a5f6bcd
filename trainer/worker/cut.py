"""Replies that end at `--max-new-tokens`, and the limit at which they would not.

A reply that was cut tells only that it would have been longer. How much longer is read from those
that went on beyond half of the limit, as if each token there were the last one equally often:

    h = ended / tokens        both beyond half of the limit
    cut(N) = cut(limit) exp(-h (N - limit))

Replies end the sooner the longer they are already, so the limit is rather too high than too low.
"""

import math
from collections import deque
from collections.abc import Iterable

from trainer.sampling.samples import Response

LAST_REPLIES = 256
MIN_REPLIES = 64
MAX_CUT = 0.2
AIM = 0.05
MIN_ENDED = 5  # fewer beyond half of the limit say nothing about the rest
STEP_TOKENS = 32
MAX_TIMES = 4  # the limit, beyond which it would be guesswork


class CutReplies:
    """What became of the last replies of one version that people or a judge are asked about."""

    def __init__(self, limit: int, most: int) -> None:
        """`limit` is the setting, `most` the highest that the context allows, in tokens."""
        self._limit = limit
        self._most = most
        self._version = 0
        self._last: deque[tuple[int, bool]] = deque(maxlen=LAST_REPLIES)

    def saw(self, responses: Iterable[Response], version: int) -> None:
        """Take note of new replies. Those of an earlier version say nothing of this one."""
        if version != self._version:
            self._version = version
            self._last.clear()
        self._last.extend((len(r.tokens), r.finish == "length") for r in responses)

    def warning(self) -> str | None:
        """What to say if too many were cut."""
        cut = sum(was_cut for _, was_cut in self._last)
        if len(self._last) < MIN_REPLIES or cut <= MAX_CUT * len(self._last):
            return None
        says = (
            f"{cut / len(self._last):.0%} of the last {len(self._last)} replies were cut at "
            f"--max-new-tokens {self._limit}"
        )
        if self._most <= self._limit:
            return f"{says}, and the context of the policy has no room for more."
        enough = self._enough(cut)
        if enough is None:
            return (
                f"{says}, and too few end by themselves to tell how long they would be; try "
                f"{min(2 * self._limit, self._most)}."
            )
        if enough > self._most:
            return f"{says}; the context of the policy has room for {self._most}."
        share = f"about {1 - AIM:.0%}" if enough < MAX_TIMES * self._limit else "most"
        return f"{says}; with {enough} {share} would end by themselves."

    def _enough(self, cut: int) -> int | None:
        """The limit at which a share of AIM would be cut; None if there is too little to go by."""
        half = self._limit / 2
        beyond = [(tokens - half, was_cut) for tokens, was_cut in self._last if tokens > half]
        ended = sum(not was_cut for _, was_cut in beyond)
        if ended < MIN_ENDED:
            return None
        hazard = ended / sum(tokens for tokens, _ in beyond)
        more = math.log(cut / len(self._last) / AIM) / hazard
        enough = STEP_TOKENS * math.ceil((self._limit + more) / STEP_TOKENS)
        return min(enough, MAX_TIMES * self._limit)
