"""Labelled pairs of a file: our own exports, or what other tools know of two replies.

Opinions on one pair become one label as everywhere (`labeler.domain.labels`). Of replies that were
rated one by one, the first good one to a prompt is better than the first bad one, and so on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from labeler.domain.labels import Opinion, Preference, VoteRules, combine
from labeler.domain.messages import Messages
from labeler.domain.sentences.figures import counted
from labeler.domain.states import Choice
from labeler.files.reading.reader import AS_IT_IS, Asked, Reading, read, with_replies
from labeler.files.reading.said import Compared, Thumbed


@dataclass(frozen=True)
class ExportedPair:
    """A conversation, two replies as texts, what was said of them, whether each came to an end."""

    messages: Messages
    response_a: str
    response_b: str
    said: Preference
    ended_a: bool = True
    ended_b: bool = True


@dataclass
class PairFile:
    """What a file holds.

    `undecided` pairs have opinions that teach nothing, such as ties. `unrated` rows say nothing of
    replies. Of replies that were rated one by one `alone` have no counterpart, and `alike` counts
    pairs of the same text, which is called good and bad.
    """

    pairs: list[ExportedPair]
    reading: Reading
    undecided: int = 0
    alone: int = 0
    alike: int = 0
    unrated: int = 0

    @property
    def bad_lines(self) -> list[tuple[int, str]]:
        """The number of each bad line, and what is wrong with it."""
        return self.reading.bad_lines

    def left_out(self) -> str:
        """What of the file makes no pair, in sentences; empty if all of it does."""
        return f"{self.reading.complaint()} {self.without_label()}".strip()

    def without_label(self) -> str:
        """What of the good rows makes no pair, in sentences; empty if all of them do."""
        parts = (
            (self.undecided, "pair", "no one says which is better"),
            (self.alone, "rating", "nothing is there to compare the reply with"),
            (self.alike, "pair", "the same reply is called good and bad"),
            (self.unrated, "row", "there is no rating that counts"),
        )
        return " ".join(
            f"{counted(count, what)} {'was' if count == 1 else 'were'} left out: {why}."
            for count, what, why in parts
            if count
        )


def read_pairs(source: Path, rules: VoteRules, asked: Asked = AS_IT_IS) -> PairFile:
    """Read labelled pairs. Raises BadInput if there is no file, or no labelled pair in it."""
    taken, reading = read(source, asked, with_replies)
    said = [one for row in taken for one in row.said]
    matched, alone, alike = _matched(one for one in said if isinstance(one, Thumbed))
    same: dict[tuple[str, ...], list[Compared]] = {}
    for one in [*said, *matched]:
        if isinstance(one, Compared):
            key = one.pair, str(one.messages), one.response_a, one.response_b
            same.setdefault(key, []).append(one)
    pairs = [pair for votes in same.values() if (pair := _labelled(votes, rules)) is not None]
    unrated = sum(not row.said for row in taken)
    found = PairFile(pairs, reading, len(same) - len(pairs), alone, alike, unrated)
    if not pairs:
        reading.refuse("labelled pairs", found.without_label())
    return found


def _labelled(votes: list[Compared], rules: VoteRules) -> ExportedPair | None:
    """One pair of all the opinions on it; None if they say nothing to learn from."""
    said = combine([vote.opinion for vote in votes], rules)
    if said is None:
        return None
    first = votes[0]
    return ExportedPair(
        messages=first.messages,
        response_a=first.response_a,
        response_b=first.response_b,
        said=said,
        ended_a=first.ended_a,
        ended_b=first.ended_b,
    )


def _matched(thumbs: Iterable[Thumbed]) -> tuple[list[Compared], int, int]:
    """Good and bad replies to one prompt, in the order of the file.

    Also how many replies are left over, and how many pairs are of the same text.
    """
    by_prompt: dict[str, tuple[list[Thumbed], list[Thumbed]]] = {}
    for thumb in thumbs:
        good, bad = by_prompt.setdefault(str(thumb.messages), ([], []))
        (good if thumb.good else bad).append(thumb)
    pairs: list[Compared] = []
    alone = alike = 0
    for good, bad in by_prompt.values():
        alone += abs(len(good) - len(bad))
        for better, worse in zip(good, bad, strict=False):
            if better.reply.strip() == worse.reply.strip():
                alike += 1
                continue
            pairs.append(Compared(better.messages, better.reply, worse.reply, Opinion(Choice.A)))
    return pairs, alone, alike
