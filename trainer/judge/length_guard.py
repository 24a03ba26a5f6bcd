"""What scores owe to the length of replies, and shall not count.

Length is what a policy changes most easily, so a reward model's slight love of it goes a long way.
As replies become longer or shorter than at the start, by up to MAX_STRETCH, what scores owe to that
fades out, and a leaning back to the first length grows. Both give way as the votes make it likely
that people want it so (`labeler/stats/length_leaning.py`). Lengths are in characters, of replies
without their thoughts.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from labeler.domain.judging import Example
from labeler.stats.length_leaning import length_odds

MAX_STRETCH = 1.15  # of the length at the start, or as much shorter
# Towards the first length at MAX_STRETCH: in standard deviations of a score, for one of length.
LEAN_BACK = 0.5
MOST_BACK = 2.0  # times that


class LengthGuard:
    """Guards nothing as long as `start`, the mean length of replies at the start, is None."""

    def __init__(self) -> None:
        self.start: float | None = None
        self.now: float | None = (
            None  # mean length where it is not that of the responses asked about
        )
        self._longer = 0.0  # how likely people like longer replies: from -1 to 1

    def hear(self, examples: Sequence[Example]) -> None:
        """All votes of people."""
        won_by = [2 * one.said.target + one.said.tie - 1 for one in examples]
        longer_by = [len(one.question.first) - len(one.question.second) for one in examples]
        self._longer = length_odds(won_by, longer_by)

    def owed(self, lengths: Sequence[Tensor], scores: Sequence[Tensor]) -> Tensor:
        """What each member's scores (M,) owe to a character of length and shall not count.

        Of each prompt's R responses, one prompt or more: their `lengths` (R,) and `scores` (R, M).
        Beyond what they owe, the longer lose while replies are longer than at the start, and the
        shorter while they are shorter.
        """
        if self.start is None:
            return scores[0].new_zeros(scores[0].shape[1])
        mean = self.now or torch.cat([*lengths]).mean().item()
        stretch = math.log(mean / self.start) / math.log(MAX_STRETCH)
        length, score = _within(lengths), _within(scores)
        square = (length @ length).clamp(min=1e-9)
        slopes_M, spread_M = length @ score / square, (score.square().sum(dim=0) / square).sqrt()
        owed = min(max(torch.sign(slopes_M.mean()).item() * stretch, 0.0), 1.0)
        back = LEAN_BACK * min(max(stretch, -MOST_BACK), MOST_BACK)
        wanted = max(0.0, self._longer * math.copysign(1.0, stretch))
        return (1 - wanted) * (owed * slopes_M + back * spread_M)


def _within(groups: Sequence[Tensor]) -> Tensor:
    """Of each prompt's responses by how much they differ from their mean, one after the other."""
    return torch.cat([one - one.mean(dim=0) for one in groups])
