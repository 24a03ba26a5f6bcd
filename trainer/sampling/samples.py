"""What is sampled: a prompt with the responses that one version gave to it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from labeler.domain.messages import Messages
from labeler.domain.thought import without_thought
from trainer.fast.layout import TokenPair

# Hears after each token how many every prompt's responses have so far, by the prompt's place; and
# before each part of what comes before the tokens.
Progress = Callable[[Mapping[int, int]], None]


@dataclass(frozen=True)
class Hinted:
    """A prompt's tokens with a `hint` in them that the prompt does not hold."""

    hint: str
    tokens: list[int]


@dataclass(frozen=True)
class Response:
    """`tokens` end in EOS if `finish` is "stop"; if it is "length", none is added.

    `logp` is the summed log-probability of the tokens under the policy that drew them, in nats, at
    the temperature they were drawn at and without the cut: DPO's log pi(y|x). `dtype` is what a
    sampler multiplied in, where it was not that of the policy; then `logp` is right on average.
    `after` is what it was drawn after, and `logp` is given, where that is not its prompt.
    """

    text: str
    tokens: list[int]
    finish: str
    logp: float
    dtype: torch.dtype | None = None
    after: Hinted | None = None


@dataclass(frozen=True)
class Prompt:
    """A conversation that waits for a reply, and its tokens under the chat template."""

    id: int
    messages: Messages
    tokens: list[int]


@dataclass(frozen=True)
class Sample:
    """A prompt, and at least two responses of one version; the first two make its pair.

    `seed` is that of the batch it was drawn in. `reference` are the pair's summed log-probabilities
    (nats) under the reference, where they are known.
    """

    prompt: Prompt
    responses: tuple[Response, ...]
    seed: int
    reference: tuple[float, float] | None = None

    @property
    def pair(self) -> tuple[Response, Response]:
        """The two responses that people are asked about."""
        return self.responses[0], self.responses[1]

    @property
    def tokens(self) -> TokenPair:
        """The tokens of the prompt and of the pair."""
        a, b = self.pair
        return self.prompt.tokens, a.tokens, b.tokens


def worth_asking(pair: tuple[Response, Response]) -> bool:
    """Whether someone could prefer one: both say something, and not the same, thoughts aside."""
    first, second = (without_thought(response.text).strip() for response in pair)
    return bool(first) and bool(second) and first != second


def batch_seed(seed: int, *parts: int) -> int:
    """A seed of 31 bits that differs with every part, and is the same in every run."""
    return random.Random(repr((seed, parts))).getrandbits(31)
