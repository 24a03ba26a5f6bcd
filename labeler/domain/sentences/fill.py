"""What is said of pairs that nobody rated, and of the reward model that labels them."""

from labeler.domain.estimate import Estimate
from labeler.domain.finding import Finding
from labeler.domain.sentences.figures import counted, percent, share

NO_CANDIDATES = "No prompt gave two replies to compare, so no pairs were filled in."
NONE_DRAWN = (
    "Votes came faster than replies could be drawn beside the queue: no pairs were filled in."
)
ALL_TIES = "all its votes are ties, and the reward model cannot tell yet what they were about"


def learns(right: Estimate) -> str:
    """How good the reward model is.

    >>> learns(Estimate(0.7, 0.6, 0.8, 64))
    'The reward model is right on 70 % [60, 80] of 64 votes that it had not seen.'
    """
    votes = counted(right.count, "vote")
    return f"The reward model is right on {share(right)} of {votes} that it had not seen."


def too_few_votes(decided: int, needed: int) -> str:
    """Why it labels nothing yet."""
    return f"The reward model begins after {needed} votes that prefer one reply; it has {decided}."


def no_better_than_chance(right: Estimate) -> str:
    """Why it labels nothing any more."""
    return f"{learns(right)} That may be chance, so it fills in no pairs."


def reading(replies: int, of: int, votes: int | None = None) -> str:
    """What the worker does while the reward model reads: so many of the replies are read.

    >>> reading(34, 82, votes=41)
    'Reading 41 votes for the reward model: 34 of 82 replies.'
    """
    if votes is None:
        return f"Reading replies for the reward model: {replies} of {of}."
    return f"Reading {counted(votes, 'vote')} for the reward model: {replies} of {of} replies."


def fitting(votes: int) -> str:
    """What the worker does while the reward model is fitted."""
    return f"Fitting the reward model to {counted(votes, 'vote')}."


def gamed(taught: float, witness: float) -> str:
    """Why the gate keeps a version back that pleases the reward model and nobody else.

    >>> gamed(0.7, 0.52)
    'it games the reward model: those who labelled prefer it in 70 %, one that did not in 52 %'
    """
    return (
        f"it games the reward model: those who labelled prefer it in {percent(taught)}, one that "
        f"did not in {percent(witness)}"
    )


def since_turn(votes: int) -> str:
    """Which votes it goes by, once people have changed their minds."""
    return f"People have changed their minds, so it goes by the newest {counted(votes, 'vote')}."


def in_all(pairs: int, says: str) -> str:
    """All pairs that were filled in, and how good the reward model is.

    >>> in_all(64, "The reward model needs 8 votes.")
    '64 pairs that nobody rated. The reward model needs 8 votes.'
    """
    return f"{counted(pairs, 'pair')} that nobody rated. {says}"


def filled(finding: Finding) -> list[str]:
    """Of an update: the pairs that were filled in, or why none were; nothing where none are asked.

    >>> filled(Finding(labels=16, filled=64, fill_right=Estimate(0.7, 0.6, 0.8, 64)))[0]
    'The 16 labels taught it on 80 pairs: a reward model of all votes labelled the other 64.'
    """
    if finding.not_filled:
        return [finding.not_filled]
    if not finding.filled:
        return []
    labels = finding.labels or 0
    taught = f"The {counted(labels, 'label')} taught it" if labels else "Its votes taught it"
    return [
        f"{taught} on {labels + finding.filled} pairs: a reward model of all votes labelled the "
        f"other {finding.filled}.",
        learns(finding.fill_right),
    ]
