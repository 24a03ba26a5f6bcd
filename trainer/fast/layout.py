"""Pairs to one row of tokens, without padding, the prompt of a pair once for both its responses.

    tokens     p p p a a a b b | p p a b b b        (1, N)
    positions  0 1 2 3 4 5 3 4 | 0 1 2 2 3 4

The row is filled up to a multiple of `fill` tokens that are seen by none and see none, so that the
sizes of matrix products repeat: oneDNN prepares itself anew for every size it has not met, and
memory that held a tensor of one size is not always fit for the next.

Response b starts again at the position after the prompt, and `PairAttention` lets it see the prompt
and itself, never response a. So every token is computed as it would be in a row of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor

FILL = 64


TokenPair = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""A prompt and its two responses, as token ids; none of them is empty."""


@dataclass(frozen=True)
class Span:
    """Where a pair lies in the packed row: from `start`, so many tokens of each piece."""

    start: int
    prompt: int
    a: int
    b: int

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ValueError("the prompt of a pair has no tokens")
        if not (self.a and self.b):
            raise ValueError(f"response {'b' if self.a else 'a'} of a pair has no tokens")

    @property
    def end(self) -> int:
        """The place after its last token."""
        return self.start + self.prompt + self.a + self.b

    @property
    def predicts_a(self) -> range:
        """The places whose output predicts response a: the prompt's last, and all of a but one."""
        first = self.start + self.prompt - 1
        return range(first, first + self.a)

    @property
    def predicts_b(self) -> list[int]:
        """The places whose output predicts response b: the prompt's last, and all of b but one."""
        first = self.start + self.prompt + self.a
        return [self.start + self.prompt - 1, *range(first, first + self.b - 1)]


@dataclass(frozen=True)
class PackedPairs:
    """B pairs in a row of N tokens, of which T are response tokens (all of a, then all of b).

    N and T are multiples of `fill`; what fills them up counts for nothing.
    """

    input_ids: Tensor  # (1, N)
    position_ids: Tensor  # (1, N)
    spans: tuple[Span, ...]  # B
    predicts: Tensor  # (T,), places in the row whose output predicts the response tokens
    targets: Tensor  # (T,), the response tokens
    owners: Tensor  # (T,), whose they are: 0 .. B - 1 are a, B .. 2B - 1 are b, 2B is nobody's
    _masks: dict[int | None, list[Tensor]] = field(default_factory=dict, compare=False, repr=False)

    def masks(self, window: int | None) -> list[Tensor]:
        """What each token may see, a pair at a time: (S, S) of 0 and -inf, for S tokens.

        With a sliding window, a token sees the last `window` positions, itself among them.
        """
        if window not in self._masks:
            self._masks[window] = [self._mask(span, window) for span in self.spans]
        return self._masks[window]

    def _mask(self, span: Span, window: int | None) -> Tensor:
        positions = self.position_ids[0, span.start : span.end]
        length, b = len(positions), span.prompt + span.a
        hidden = torch.ones(length, length, dtype=torch.bool, device=positions.device).triu(1)
        hidden[b:, span.prompt : b] = True
        if window is not None:
            hidden |= positions[None, :] <= positions[:, None] - window
        return torch.zeros(length, length, device=positions.device).masked_fill_(
            hidden, float("-inf")
        )

    def summed(self, logps_T: Tensor) -> Tensor:
        """Log-probabilities of tokens to those of responses, (B, 2)."""
        pairs = len(self.spans)
        sums = logps_T.new_zeros(2 * pairs + 1).index_add(0, self.owners, logps_T)
        return sums[:-1].view(2, pairs).T


def pack(pairs: Sequence[TokenPair], device: torch.device, *, fill: int = FILL) -> PackedPairs:
    """Lay B pairs out in one row. Raises ValueError if a prompt or a response has no tokens."""

    def filled(values: list[int], filler: int) -> Tensor:
        return torch.tensor(values + [filler] * (-len(values) % fill), device=device)

    ids: list[int] = []
    positions: list[int] = []
    spans: list[Span] = []
    for prompt, a, b in pairs:
        span = Span(len(ids), len(prompt), len(a), len(b))
        spans.append(span)
        ids += [*prompt, *a, *b]
        positions += [*range(span.prompt + span.a), *range(span.prompt, span.prompt + span.b)]
    responses = [a for _, a, _ in pairs] + [b for _, _, b in pairs]
    predicts = [span.predicts_a for span in spans] + [span.predicts_b for span in spans]
    owners = [[number] * len(response) for number, response in enumerate(responses)]
    return PackedPairs(
        input_ids=filled(ids, 0)[None],
        position_ids=filled(positions, 0)[None],
        spans=tuple(spans),
        predicts=filled(list(chain(*predicts)), 0),
        targets=filled(list(chain(*responses)), 0),
        owners=filled(list(chain(*owners)), len(responses)),
    )
