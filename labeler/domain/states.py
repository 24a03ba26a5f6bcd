"""The words that rows are marked with: choices, states, roles, purposes. Stored by value."""

from enum import StrEnum


class Choice(StrEnum):
    """What a rater says of a pair, in stored order."""

    A = "a"
    B = "b"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    SKIP = "skip"


class Source(StrEnum):
    """Who gave a label."""

    HUMAN = "human"
    JUDGE = "judge"


class PairState(StrEnum):
    """READY -> LABELLED (enough votes) or EXPIRED (retired without).

    A CHECK pair stays one: it checks raters, and nothing learns from it.
    """

    READY = "ready"
    LABELLED = "labelled"
    EXPIRED = "expired"
    CHECK = "check"


class Purpose(StrEnum):
    """What a pair is there for. GOLD and REPEAT are CHECK pairs, and look like any other."""

    LOOP = "loop"  # sampled for the queue
    OWN = "own"  # a rater's own prompt, for that rater alone
    EDIT = "edit"  # a person's text (a) against the response that it was made of (b)
    GOLD = "gold"  # which one is better is known
    REPEAT = "repeat"  # one that this rater has voted on before


class UpdateState(StrEnum):
    """OPEN -> CLAIMED -> TRAINING -> GATING -> PROMOTED, REJECTED or FAILED."""

    OPEN = "open"
    CLAIMED = "claimed"
    TRAINING = "training"
    GATING = "gating"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    FAILED = "failed"


class VersionState(StrEnum):
    """Exactly one version is LIVE."""

    CANDIDATE = "candidate"
    LIVE = "live"
    RETIRED = "retired"
    REJECTED = "rejected"


class LabelRole(StrEnum):
    """What an update does with a vote on its list. Only TRAIN ones count as used by it."""

    TRAIN = "train"
    HELD_OUT = "held_out"  # fresh, judged on, and trained on by a later update
    REPLAY = "replay"  # used before, trained on again
    REMEMBERED = "remembered"  # used before, judged on


class RaterRole(StrEnum):
    """What an account may do."""

    RATER = "rater"
    REVIEWER = "reviewer"
    ADMIN = "admin"
    JUDGE = "judge"  # a model's votes are in its name; nobody can log in with it


class AskState(StrEnum):
    """WAITING -> SAMPLING -> READY or FAILED."""

    WAITING = "waiting"
    SAMPLING = "sampling"
    READY = "ready"
    FAILED = "failed"
