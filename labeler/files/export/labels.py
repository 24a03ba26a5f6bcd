"""What votes make of their pairs: which of them count, and which response they prefer.

Votes of several raters on one pair count by majority. A judge's count only where no person has
spoken, as in training. Undone votes and skips say nothing, and neither does a vote on a pair that
checks raters or was set aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from labeler.domain.labels import heard
from labeler.domain.messages import Messages
from labeler.domain.states import Choice, PairState

if TYPE_CHECKING:
    from labeler.store.tables import Pair, Vote
    from labeler.store.views.exported import VoteRow


@dataclass(frozen=True)
class Labelled:
    """A pair with the votes that count, at least one."""

    pair: Pair
    messages: Messages
    votes: Sequence[Vote]

    @property
    def choices(self) -> list[Choice]:
        """What was chosen, vote by vote."""
        return [vote.choice for vote in self.votes]

    @property
    def winner(self) -> Choice | None:
        """The response that most prefer; None if neither is."""
        for_a, for_b = self.choices.count(Choice.A), self.choices.count(Choice.B)
        if for_a == for_b:
            return None
        return Choice.A if for_a > for_b else Choice.B


@dataclass(frozen=True)
class Decided:
    """A conversation, and two replies of which one is preferred."""

    messages: Messages
    chosen: str
    rejected: str


def labelled(votes: Iterable[VoteRow]) -> Iterator[Labelled]:
    """The pairs to learn from, of votes that come pair by pair."""
    for _, group in groupby(votes, key=lambda row: row.vote.pair_id):
        rows = list(group)
        first = rows[0]
        if why_aside(first.pair) is not None:
            continue
        said = heard([row.vote for row in rows if row.vote.superseded_by is None])
        if said:
            yield Labelled(first.pair, first.messages, said)


def decided(pairs: Iterable[Labelled]) -> Iterator[Decided]:
    """Those of the pairs that have a majority."""
    for each in pairs:
        a, b = each.pair.response_a, each.pair.response_b
        if each.winner is Choice.A:
            yield Decided(each.messages, a, b)
        elif each.winner is Choice.B:
            yield Decided(each.messages, b, a)


def why_aside(pair: Pair) -> str | None:
    """Why nothing is to learn from this pair; None if something is."""
    if pair.aside_at is not None:
        return pair.aside_reason or "no reason given"
    return "it checks raters" if pair.state is PairState.CHECK else None
