"""Which pairs to ask people about: those whose answer would tell most (D-optimal design).

A taste is a linear function of traits (`trainer.judge.traits`), as the reward model has it. Votes
on pairs whose responses differ by x, in units of each trait's spread, leave it uncertain by the
inverse of

    A = I + sum of x x^T

and one more adds log(1 + x^T A^-1 x) to log det A. Each in turn is the one that adds most (Kveton
et al. 2025, arXiv 2503.01076, who do so with the last hidden layer). So pairs come early that
differ in something rare, a list or a question, on which most pairs of a small model are tied.

Pure. Leaves out what people prefer: no vote is needed to begin.
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from labeler.domain.thought import without_thought
from trainer.judge.traits import TRAITS, traits

MIN_SPREAD = 1e-6

Texts = tuple[str, str]


class Design:
    """What P pairs of responses would tell, beyond those that were `asked` about."""

    def __init__(self, asked: Sequence[Texts], pairs: Sequence[Texts]) -> None:
        known = {text: _read(text) for both in (*asked, *pairs) for text in both}
        read = [[known[a], known[b]] for a, b in (*asked, *pairs)]
        both = torch.tensor(read, dtype=torch.float64).reshape(-1, 2, len(TRAITS))
        spread = both.flatten(0, 1).std(dim=0, correction=0)
        scaled = torch.where(spread > MIN_SPREAD, (both[:, 0] - both[:, 1]) / spread, 0)
        self._pairs = scaled[len(asked) :]
        self._inverse = torch.eye(len(TRAITS), dtype=torch.float64)
        for difference in scaled[: len(asked)]:
            self._tell(difference)

    @property
    def adds(self) -> Tensor:
        """What each pair would add now, (P,), in nats."""
        return torch.log1p(((self._pairs @ self._inverse) * self._pairs).sum(dim=1))

    def ask(self, place: int) -> None:
        """Count a pair among those that were asked about."""
        self._tell(self._pairs[place])

    def _tell(self, x: Tensor) -> None:
        """The inverse of A + x x^T (Sherman and Morrison 1950)."""
        along = self._inverse @ x
        self._inverse = self._inverse - torch.outer(along, along) / (1 + x @ along)


def worths(asked: Sequence[Texts], pairs: Sequence[Texts]) -> list[float]:
    """What each of the pairs adds in its turn, in nats.

    The one that adds most comes first. Of two that are alike, the second is worth less.
    """
    if not pairs:
        return []
    design, found = Design(asked, pairs), [0.0] * len(pairs)
    left = torch.ones(len(pairs), dtype=torch.bool)
    for _ in pairs:
        adds = design.adds.where(left, -torch.inf)
        place = int(adds.argmax())
        found[place], left[place] = adds[place].item(), False
        design.ask(place)
    return found


def pick(
    asked: Sequence[Texts], candidates: Sequence[Sequence[str]], most: int
) -> list[tuple[int, int, int]]:
    """Up to so many of the prompts, each with the two of its `candidates` that tell most.

    A prompt, and the places of its two responses; the one that adds most comes first.
    """
    places = [
        (prompt, first, second)
        for prompt, texts in enumerate(candidates)
        for first, second in combinations(range(len(texts)), 2)
    ]
    if not places:
        return []
    texts = [(candidates[prompt][a], candidates[prompt][b]) for prompt, a, b in places]
    design, found = Design(asked, texts), list[tuple[int, int, int]]()
    left = torch.ones(len(places), dtype=torch.bool)
    while left.any() and len(found) < most:
        place = int(design.adds.where(left, -torch.inf).argmax())
        found.append(places[place])
        design.ask(place)
        left &= torch.tensor([prompt != places[place][0] for prompt, _, _ in places])
    return found


def _read(text: str) -> list[float]:
    return traits(without_thought(text))
