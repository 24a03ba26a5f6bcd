"""When an update is due, what a judge may label, which pairs stay ready, and how often raters are
checked: settings, cut down to what a decision needs.
"""

from dataclasses import dataclass
from typing import Literal

from labeler.domain.labels import NO_TIES, VoteRules

Mode = Literal["streaming", "iterative"]
Acquisition = Literal["d_optimal", "random"]
D_OPTIMAL: Acquisition = "d_optimal"


@dataclass(frozen=True)
class DueRules:
    """When an update is due, and what goes on its list.

    Mode streaming: `labels_per_update` fresh votes make one due. Mode iterative: a round of that
    many pairs of the live version, all of them settled, does. Votes on pairs that are more than
    `max_staleness` versions old do not count. Shares are parts of 1: `held_out_share` of the listed
    pairs are judged on instead of trained on; `replay_share` of the pairs trained on are older
    ones, of versions that are at most `replay_max_age_versions` old.
    """

    labels_per_update: int
    max_staleness: int
    cooldown_seconds: float
    votes: VoteRules = NO_TIES
    mode: Mode = "streaming"
    held_out_share: float = 0.0
    replay_share: float = 0.0
    replay_max_age_versions: int = 8
    max_updates: int | None = None


@dataclass(frozen=True)
class JudgeRules:
    """Which pairs the judge (`judge` is its spec) is asked about, and which it labels.

    It labels pairs that waited `after_seconds` for a person (None: none at all), up to
    `max_labels` in all, and not while it is paused: it abstained in more than `max_abstain` of its
    last answers, or agrees with people on less than `min_agreement` of what both decided. Up to
    `left_to_people` pairs that it cannot decide go on waiting for a person.
    """

    judge: str
    after_seconds: float | None
    max_staleness: int
    max_labels: int | None = None
    max_abstain: float = 0.5
    min_agreement: float = 0.0
    left_to_people: int = 0


@dataclass(frozen=True)
class QueueRules:
    """How long pairs of earlier versions stay ready.

    While they are at most `max_staleness` versions old, and as long as there are no more than
    `pairs` with the new ones.
    """

    pairs: int
    max_staleness: int


ONLY_LIVE = QueueRules(pairs=0, max_staleness=0)


@dataclass(frozen=True)
class CheckRules:
    """The shares of what a rater is handed that are gold pairs, and repeats of their own."""

    gold_share: float = 0.0
    repeat_share: float = 0.0
