"""How a version answers: length, endings, repetition, variety. Figures of samples, without torch.

The gate compares two versions by them, and the guard of an unattended run compares a version with
the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

SEQUENCE = 4


class Said(NamedTuple):
    """One response: its tokens, its finish reason ("stop", "length"), and its summed
    log-probability (nats, at the temperature it was drawn at) under the version that said it, if
    that is known.
    """

    tokens: Sequence[int]
    finish: str
    logp: float | None = None


@dataclass(frozen=True)
class Style:
    """How one version answers, over a sample of its responses.

    `tokens` is the mean length; `unfinished` the share cut at the limit; `repetition` the mean
    share of four-token sequences that stood in the same response before. `distinct` is the share of
    distinct ones among all four-token sequences of the sample (distinct-n, Li et al. 2016); it
    falls as a sample grows, so only samples of like size can be compared. `entropy` is minus the
    mean log-probability of the sampled tokens, in nats a token: at top-p 1 an unbiased
    estimate of the policy's entropy; None where no log-probability is known.
    """

    tokens: float
    unfinished: float
    repetition: float
    distinct: float = 1.0
    entropy: float | None = None


def style(responses: Sequence[Said]) -> Style:
    """The style of the responses, of which there is at least one."""
    count = len(responses)
    return Style(
        tokens=sum(len(said.tokens) for said in responses) / count,
        unfinished=sum(said.finish == "length" for said in responses) / count,
        repetition=sum(repetition(said.tokens) for said in responses) / count,
        distinct=_distinct(responses),
        entropy=_entropy(responses),
    )


def repetition(tokens: Sequence[int]) -> float:
    """Share of the four-token sequences that stood in the response before."""
    sequences = _sequences(tokens)
    return 1 - len(set(sequences)) / len(sequences) if sequences else 0.0


def _distinct(responses: Sequence[Said]) -> float:
    """A sample without any sequence of four repeats none, and counts as wholly distinct."""
    sequences = [found for said in responses for found in _sequences(said.tokens)]
    return len(set(sequences)) / len(sequences) if sequences else 1.0


def _entropy(responses: Sequence[Said]) -> float | None:
    """Over tokens and not responses, so that a long response counts for more than a short one."""
    known = [(said.logp, len(said.tokens)) for said in responses if said.logp is not None]
    tokens = sum(count for _, count in known)
    return -sum(logp for logp, _ in known) / tokens if tokens else None


def _sequences(tokens: Sequence[int]) -> list[tuple[int, ...]]:
    starts = range(len(tokens) - SEQUENCE + 1)
    return [tuple(tokens[start : start + SEQUENCE]) for start in starts]
