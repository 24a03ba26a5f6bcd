"""What exports are made of, read while they are written, so that never all of it is in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVarTuple, cast

import sqlalchemy as sa
from sqlalchemy.orm import QueryableAttribute, aliased, defer
from sqlmodel import Session, col, select

from labeler.domain.messages import Messages
from labeler.domain.states import Choice, PairState, Source
from labeler.store.database import Database
from labeler.store.tables import FilledPair, Pair, PolicyVersion, Prompt, Rater, Service, Vote

Attribute = QueryableAttribute[Any]
Columns = TypeVarTuple("Columns")

AT_ONCE = 500  # rows that are in memory
_MANY = {"yield_per": AT_ONCE}
_TOKENS = Pair.prompt_tokens, Pair.tokens_a, Pair.tokens_b


@dataclass(frozen=True)
class VoteRow:
    """A vote with everything that an export tells of it."""

    vote: Vote
    pair: Pair
    messages: Messages
    rater: str
    superseded_by: str | None


class FilledRow(NamedTuple):
    """A pair that was filled in, with its prompt."""

    pair: FilledPair
    messages: Messages


@dataclass(frozen=True)
class Provenance:
    """Where labels come from: the policy, how many standing votes said what, and whose they are.

    Times are seconds since 1970 in UTC; None where nobody has voted.
    """

    base: str | None
    choices: dict[tuple[Source, Choice], int]
    pairs: int
    people: int
    versions: int
    first_at: float | None
    last_at: float | None


class Exports:
    """The verbs of exports. All only read, each what was there when it began."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def votes(self, *, source: Source | None = None, by_pair: bool = False) -> Iterator[VoteRow]:
        """Every vote, undone ones too: oldest first, or pair by pair. Pairs come without tokens."""
        with self._database.read() as session:
            yield from vote_rows(session, source=source, by_pair=by_pair, tokens=False)

    def count(self, *, source: Source | None = None) -> int:
        """How many `votes` there are."""
        with self._database.read() as session:
            return session.scalar(_of(source, sa.select(sa.func.count()).select_from(Vote))) or 0

    def texts(self, *, source: Source | None = None) -> Iterator[tuple[Messages, str, str]]:
        """Prompt and both responses of each pair with a standing vote, unless nothing is learnt."""
        voted = _of(source, select(Vote.pair_id).where(col(Vote.superseded_by).is_(None)))
        rows = (
            sa.select(col(Prompt.messages), col(Pair.response_a), col(Pair.response_b))
            .join(Prompt, col(Prompt.id) == col(Pair.prompt_id))
            .where(
                col(Pair.id).in_(voted),
                col(Pair.aside_at).is_(None),
                col(Pair.state) != PairState.CHECK,
            )
        )
        with self._database.read() as session:
            for row in session.execute(rows, execution_options=_MANY):
                yield row.messages, row.response_a, row.response_b

    def filled(self) -> Iterator[FilledRow]:
        """Every pair that nobody rated, in the order of the updates that were trained on them."""
        rows = (
            select(FilledPair, Prompt)
            .join(Prompt, col(Prompt.id) == col(FilledPair.prompt_id))
            .order_by(col(FilledPair.id))
        )
        with self._database.read() as session:
            for pair, prompt in session.execute(rows, execution_options=_MANY):
                yield FilledRow(pair, prompt.messages)

    def provenance(self, *, source: Source | None = None) -> Provenance:
        """Where the labels come from."""
        standing = col(Vote.superseded_by).is_(None)
        said = sa.select(col(Vote.source), col(Vote.choice), sa.func.count())
        person = sa.case((col(Vote.source) == Source.HUMAN, col(Vote.rater_id)))
        span = sa.select(
            sa.func.count(col(Vote.pair_id).distinct()),
            sa.func.count(person.distinct()),
            sa.func.min(col(Vote.created_at)),
            sa.func.max(col(Vote.created_at)),
        )
        versions = sa.select(sa.func.count()).select_from(PolicyVersion)
        with self._database.read() as session:
            service = session.get(Service, 1)
            by_choice = _of(source, said.where(standing)).group_by(Vote.source, Vote.choice)
            pairs, people, first_at, last_at = session.execute(
                _of(source, span.where(standing))
            ).one()
            return Provenance(
                base=service.base if service else None,
                choices={(who, choice): n for who, choice, n in session.execute(by_choice)},
                pairs=pairs,
                people=people,
                versions=session.scalar(versions) or 0,
                first_at=first_at,
                last_at=last_at,
            )


def vote_rows(
    session: Session, *, source: Source | None = None, by_pair: bool = False, tokens: bool = True
) -> Iterator[VoteRow]:
    """The votes as `Exports.votes` has them, with the tokens of their pairs or without."""
    rows = (
        sa.select(Vote, Pair, col(Prompt.messages), col(Rater.name), _successor())
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .join(Prompt, col(Prompt.id) == col(Pair.prompt_id))
        .join(Rater, col(Rater.id) == col(Vote.rater_id))
        .order_by(*([col(Vote.pair_id)] if by_pair else []), col(Vote.created_at), col(Vote.id))
    )
    if not tokens:
        rows = rows.options(*(defer(cast(Attribute, each), raiseload=True) for each in _TOKENS))
    for row in session.execute(_of(source, rows), execution_options=_MANY):
        yield VoteRow(*row)


def _successor() -> sa.ColumnElement[str | None]:
    """What undid a vote: the rater's next one on the pair, or the undo itself if there is none."""
    later = aliased(Vote)
    then, when = (sa.tuple_(col(vote.created_at), col(vote.id)) for vote in (later, Vote))
    following = (
        sa.select(col(later.id))
        .where(
            col(later.pair_id) == col(Vote.pair_id),
            # By the pair, which has few votes: the sum keeps the index of raters out.
            col(later.rater_id) + 0 == col(Vote.rater_id),
            then > when,
        )
        .order_by(col(later.created_at), col(later.id))
        .limit(1)
        .correlate(Vote)
        .scalar_subquery()
    )
    undone = col(Vote.superseded_by)
    return sa.case((undone.is_not(None), sa.func.coalesce(following, undone)))


def _of(source: Source | None, rows: sa.Select[*Columns]) -> sa.Select[*Columns]:
    """Only the votes of one source, if one is given."""
    return rows if source is None else rows.where(col(Vote.source) == source)
