"""Labels to look at: open a pair with all that was said of it, and set it aside.

Searching and filtering the list of pairs is in `labeler.store.views.search`.
"""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from labeler.domain.errors import BadInput
from labeler.domain.states import Purpose
from labeler.store.database import Database
from labeler.store.tables import Pair, Prompt, Rater, Update, UpdateLabel, Verdict, Vote
from labeler.store.views.search import PAGE_PAIRS, Page, Wanted, facets, page


@dataclass(frozen=True)
class OneVote:
    """A vote of an open pair. `update_id`: what used it, and `version` what came of that."""

    vote: Vote
    rater: str
    version: int | None
    listed: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class OnePair:
    """Everything about a pair. `edits` and `repeats` are pairs that were made of it."""

    pair: Pair
    messages: list[dict[str, str]]
    votes: list[OneVote]
    verdicts: list[Verdict]
    aside_by: str | None
    for_rater: str | None
    edits: list[int]
    repeats: list[int]


class Labelled:
    """The verbs on pairs that were voted on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: Wanted, *, cursor: str | None = None, most: int = PAGE_PAIRS) -> Page:
        """A page of the pairs that are wanted. Raises BadInput for a cursor that is none."""
        with self._database.read() as session:
            return page(session, wanted, cursor=cursor, most=most)

    def facets(self, *, fast_seconds: float) -> dict[str, list[dict[str, Any]]]:
        """What there is to choose from, with how many pairs each; passes over all votes."""
        with self._database.read() as session:
            return facets(session, fast_seconds)

    def pair(self, pair_id: int) -> OnePair:
        """A pair with all that was said of it. Raises BadInput if there is none."""
        with self._database.read() as session:
            pair = _pair(session, pair_id)
            return OnePair(
                pair=pair,
                messages=session.get_one(Prompt, pair.prompt_id).messages,
                votes=_votes(session, pair_id),
                verdicts=list(
                    session.exec(
                        select(Verdict)
                        .where(col(Verdict.pair_id) == pair_id)
                        .order_by(col(Verdict.created_at))
                    )
                ),
                aside_by=_name(session, pair.aside_by),
                for_rater=_name(session, pair.for_rater_id),
                edits=_made_of(session, pair_id, Purpose.EDIT),
                repeats=_made_of(session, pair_id, Purpose.REPEAT),
            )

    def set_aside(self, pair_id: int, *, reason: str, by: int, now: float) -> None:
        """Leave a pair and the edits made of it out of training and of the exports of preferences.

        That is from now on: what was trained on them stays trained. Raises BadInput if the pair is
        set aside already.
        """
        with self._database.write() as session:
            pair = _pair(session, pair_id)
            if pair.aside_at is not None:
                raise BadInput(f"Pair {pair_id} is set aside already.")
            edits = _edits_aside(session, pair_id, since=None)
            for each in (pair, *edits):
                each.aside_at, each.aside_by, each.aside_reason = now, by, reason.strip() or None

    def put_back(self, pair_id: int) -> None:
        """Let a pair that was set aside count again, with the edits that went along.

        Raises BadInput if it was not set aside.
        """
        with self._database.write() as session:
            pair = _pair(session, pair_id)
            if pair.aside_at is None:
                raise BadInput(f"Pair {pair_id} is not set aside.")
            edits = _edits_aside(session, pair_id, since=pair.aside_at)
            for each in (pair, *edits):
                each.aside_at = each.aside_by = each.aside_reason = None


def _pair(session: Session, pair_id: int) -> Pair:
    pair = session.get(Pair, pair_id)
    if pair is None:
        raise BadInput(f"There is no pair {pair_id}; pairs that nobody answered are deleted.")
    return pair


def _edits_aside(session: Session, pair_id: int, *, since: float | None) -> list[Pair]:
    """The edits made of a pair that were set aside at that moment; None: those that are not."""
    made = select(Pair).where(
        col(Pair.source_pair_id) == pair_id,
        col(Pair.purpose) == Purpose.EDIT,
        col(Pair.aside_at).is_not_distinct_from(since),
    )
    return list(session.exec(made))


def _votes(session: Session, pair_id: int) -> list[OneVote]:
    rows = (
        select(Vote, Rater.name, Update.version_id)
        .join(Rater, col(Rater.id) == col(Vote.rater_id))
        .join(Update, col(Update.id) == col(Vote.used_in_update), isouter=True)
        .where(col(Vote.pair_id) == pair_id)
        .order_by(col(Vote.created_at), col(Vote.id))
    )
    found = list(session.exec(rows))
    listed: dict[str, list[tuple[int, str]]] = {vote.id: [] for vote, _, _ in found}
    labels = select(UpdateLabel).where(col(UpdateLabel.vote_id).in_(listed))
    for label in session.exec(labels.order_by(col(UpdateLabel.update_id))):
        listed[label.vote_id].append((label.update_id, label.role.value))
    return [OneVote(vote, name, version, tuple(listed[vote.id])) for vote, name, version in found]


def _name(session: Session, rater_id: int | None) -> str | None:
    rater = session.get(Rater, rater_id) if rater_id is not None else None
    return rater.name if rater else None


def _made_of(session: Session, pair_id: int, purpose: Purpose) -> list[int]:
    made = select(Pair.id).where(col(Pair.source_pair_id) == pair_id, col(Pair.purpose) == purpose)
    return [found for found in session.exec(made.order_by(col(Pair.id))) if found is not None]
