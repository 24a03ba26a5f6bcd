"""What the store's verbs take and give: plain frozen records, with no session behind them."""

from dataclasses import dataclass, field
from typing import Any

from labeler.domain.finding import Finding
from labeler.domain.judging import Question
from labeler.domain.labels import TrainingLabel
from labeler.domain.messages import Messages
from labeler.domain.response_stats import Said
from labeler.domain.states import UpdateState


@dataclass(frozen=True)
class Waiting:
    """A pair that waits for the judge, its responses in stored order."""

    pair_id: int
    question: Question


@dataclass(frozen=True)
class NewPair:
    """Two sampled responses of one version, as the worker hands them in.

    `reference_logp_*` are summed log-probabilities (nats) of the response tokens under the
    reference, the base policy with its adapter off; `logp_*` under the version itself, where
    they are known. `double`
    pairs are shown to people and judged as well. `worth` tells how early people should have it;
    None: it was drawn by lot.
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
    logp_a: float | None = None
    logp_b: float | None = None
    double: bool = False
    worth: float | None = None


@dataclass(frozen=True)
class Drawn:
    """A sampled response, and the hint that it was drawn under; None: its prompt as it is."""

    messages: Messages
    text: str
    hint: str | None


@dataclass(frozen=True)
class Gold:
    """A prompt and two responses of which one is known to be better."""

    messages: Messages
    better: str
    worse: str


@dataclass(frozen=True)
class GoldAdded:
    """What became of gold pairs: how many are handed out from now on, how many were before, and
    the numbers of pairs that say the opposite of one which was therefore left out.
    """

    new: int
    there: int
    opposed: tuple[int, ...] = ()


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
class Answered:
    """A prompt with the two responses of one version: their texts, and what is measured of them."""

    prompt_id: int
    messages: Messages
    prompt_tokens: list[int]
    texts: tuple[str, str]
    said: tuple[Said, Said]

    @property
    def tokens(self) -> tuple[list[int], list[int], list[int]]:
        """Those of the prompt and of both responses."""
        first, second = self.said
        return self.prompt_tokens, list(first.tokens), list(second.tokens)


@dataclass(frozen=True)
class Ballot:
    """A vote as a page sends it: the choice by side. `vote_id` is made by the page, once a vote.

    `edit` is a better text that the rater made of the chosen response; a blank one, or one that
    changes nothing, is none.
    """

    vote_id: str
    lease_id: str
    choice: str
    strength: int = 1
    seconds: float | None = None
    reasons: list[str] = field(default_factory=list)
    comment: str | None = None
    edit: str | None = None


@dataclass(frozen=True)
class Receipt:
    """`saved` is true when the vote is in the database for good; else `reason` says why not.

    `choice`, by side, and `strength` are what is stored under this id, where that is another vote
    than the one that was sent.
    """

    vote_id: str
    saved: bool
    reason: str | None = None
    choice: str | None = None
    strength: int | None = None


@dataclass(frozen=True)
class Undone:
    """What an undo came to: the pair, held again, or one sentence on why it does not come back.

    `choice` is what the vote had said, by side, or None if no vote was taken back; `edit` the text
    that had come with it, `trained` the first version that came after it, if any.
    """

    pair: LeasedPair | None
    reason: str | None = None
    choice: str | None = None
    edit: str | None = None
    trained: int | None = None


@dataclass(frozen=True)
class PastVote:
    """A vote as its rater saw it cast: by side, with nothing that tells which response is which.

    `choice` is as in `sides.SCREEN_CHOICES`. `trained` is the first version that came after it.
    """

    vote_id: str
    messages: Messages
    choice: str
    strength: int
    reasons: list[str]
    comment: str | None
    edit: str | None
    at: float
    trained: int | None


@dataclass(frozen=True)
class Claim:
    """An update that this worker holds. `attempt` fences off a worker that was taken for dead.

    It must start from version `parent`, which was live after the change of number `move`, the last
    one. It trains on `labels`, the last `replayed` of which were used before, and is judged on
    `held_out` (new to every version) and `remembered` (the last ones that were used before). All
    are in the order of their pairs, one label a pair. `used` is how many votes earlier updates used
    up, and `refusals` how many updates the gate has refused since the live pointer moved.
    `weightless` are fresh votes that make no label, for their raters weigh nothing, or they are
    ties that teach a reward model alone; they are used up with the others.
    """

    update_id: int
    attempt: int
    worker: str
    parent: int
    move: int
    labels: list[TrainingLabel]
    held_out: list[TrainingLabel]
    remembered: list[TrainingLabel]
    replayed: int
    used: int = 0
    refusals: int = 0
    weightless: tuple[str, ...] = ()

    @property
    def fresh(self) -> int:
        """How many of the labels no version has trained on; they come first."""
        return len(self.labels) - self.replayed


@dataclass(frozen=True)
class EndedUpdate:
    """How an update ended."""

    id: int
    state: UpdateState
    reason: str | None
    finding: Finding


@dataclass(frozen=True)
class LoopState:
    """Where the loop is. `labels` are the judge's, `updates` those that made a version live.

    `labels_since` are those since the last update opened. `ended` are the last updates of this run,
    newest first; `steps_done` counts those of the open one. `heard_at` is when the worker last gave
    a sign of life.
    """

    labels: int
    labels_since: int
    labels_missing: int
    updates: int
    live: int | None
    is_updating: bool
    steps_done: int
    ended: list[EndedUpdate]
    says: str
    heard_at: float
    alarms: list[str]


@dataclass(frozen=True)
class FilledPair:
    """A pair that nobody rated: two responses of the live version, labelled by a reward model.

    `target` is P(the first is better); it weighed `weight` where a vote weighs 1.
    """

    prompt_id: int
    first: str
    second: str
    target: float
    weight: float


@dataclass(frozen=True)
class NewVersion:
    """A finished adapter folder that is to become a version, and the pairs besides votes that it
    was trained on.
    """

    id: int
    folder: str
    sha256: str
    finding: Finding
    filled: tuple[FilledPair, ...] = ()


class ClaimLostError(Exception):
    """What this worker did for its update does not count.

    The update went to another worker, or ended, or the live version that it started from is live no
    more; in the last case it is open again.
    """
