"""The database classes, and nothing else. Rules live in `labeler.store`.

Times are seconds since 1970 in UTC. States are `StrEnum`s stored by value. A vote is stored in the
pair's own order (`a`, `b`), never in the order it was shown. `labeler/store/migrations` creates
these tables; a test holds the two together.
"""

from labeler.store.tables.judging import Run, TidiedVerdicts, Verdict
from labeler.store.tables.learning import (
    FilledPair,
    FollowUp,
    ImportedPair,
    LiveChange,
    PolicyVersion,
    Update,
    UpdateLabel,
)
from labeler.store.tables.people import ApiKey, FailedLogin, Login, Rater
from labeler.store.tables.rating import Ask, Lease, Pair, Prompt, Vote
from labeler.store.tables.service import ProcessState, RoleLease, Service

__all__ = [
    "ApiKey",
    "Ask",
    "FailedLogin",
    "FilledPair",
    "FollowUp",
    "ImportedPair",
    "Lease",
    "LiveChange",
    "Login",
    "Pair",
    "PolicyVersion",
    "ProcessState",
    "Prompt",
    "Rater",
    "RoleLease",
    "Run",
    "Service",
    "TidiedVerdicts",
    "Update",
    "UpdateLabel",
    "Verdict",
    "Vote",
]
