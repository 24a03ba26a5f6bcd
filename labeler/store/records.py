"""What the store's verbs take and give: plain frozen records, with no session behind them."""

from dataclasses import dataclass, field
from typing import Any

from labeler.labels import TrainingLabel

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class NewPair:
    """Two sampled responses of one version, as the worker hands them in.

    `reference_logp_*` are summed log-probabilities (nats) of the response tokens under the
    reference, the base policy with its adapter off.
    """

    prompt_id: int
    version_id: int
    response_a: str
    response_b: str
    prompt_tokens: list[int]
    tokens_a: list[int]
    tokens_b: list[int]
    finish_a: str
    finish_b: str
    reference_logp_a: float
    reference_logp_b: float
    sampling: dict[str, Any]


@dataclass(frozen=True)
class LeasedPair:
    """What a page may know of a pair: texts by side, and nothing that tells which is which."""

    lease_id: str
    version_id: int
    messages: Messages
    left: str
    right: str
    left_unfinished: bool
    right_unfinished: bool


@dataclass(frozen=True)
class Ballot:
    """A vote as a page sends it: the choice by side. `vote_id` is made by the page, once a vote."""

    vote_id: str
    lease_id: str
    choice: str
    strength: int = 1
    seconds: float | None = None
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Receipt:
    """`saved` is true when the vote is in the database for good; else `reason` says why not."""

    vote_id: str
    saved: bool
    reason: str | None = None


@dataclass(frozen=True)
class Claim:
    """An update that this worker holds. `attempt` fences off a worker that was taken for dead."""

    update_id: int
    attempt: int
    worker: str
    labels: list[TrainingLabel]


@dataclass(frozen=True)
class NewVersion:
    """A finished adapter folder that is to become a version."""

    id: int
    folder: str
    sha256: str
    metrics: dict[str, Any]


class ClaimLostError(Exception):
    """The update went to another worker, or ended; what this one did for it does not count."""
