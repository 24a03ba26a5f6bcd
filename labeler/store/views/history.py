"""A rater's own last votes, as they were cast.

Nothing here tells a pair that checks raters from any other, nor a vote that an update was tested
with from one that it learned from: what a vote is said to have gone into is told by its time alone.
"""

from sqlmodel import Session, col, select

from labeler.domain.labels import VoteRules
from labeler.domain.sides import screen_choice
from labeler.domain.states import Purpose
from labeler.store.database import Database
from labeler.store.rating.edits import edit_vote_id
from labeler.store.rating.used import promoted_since, trained_on
from labeler.store.records import PastVote
from labeler.store.tables import Lease, Pair, Prompt, Vote


class History:
    """The verb on past votes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(
        self, *, rater_id: int, limit: int, votes: VoteRules, holder: str | None = None
    ) -> list[PastVote]:
        """The last `limit` standing votes of this rater, newest first, over tabs and days.

        With a `holder`, only those on its leases: the votes of one tab.
        """
        of_tab = [] if holder is None else [col(Lease.holder) == holder]
        rows = (
            select(Vote, Prompt)
            .join(Lease, col(Lease.id) == col(Vote.lease_id))
            .join(Pair, col(Pair.id) == col(Vote.pair_id))
            .join(Prompt, col(Prompt.id) == col(Pair.prompt_id))
            .where(col(Vote.rater_id) == rater_id, col(Vote.superseded_by).is_(None), *of_tab)
            .order_by(col(Vote.created_at).desc(), col(Lease.ended_at).desc(), col(Vote.id))
            .limit(limit)
        )
        with self._database.read() as session:
            found = list(session.exec(rows))
            edits = _edits(session, [vote.id for vote, *_ in found])
            promoted = promoted_since(
                session, since=min((vote.created_at for vote, *_ in found), default=0)
            )
        return [
            PastVote(
                vote_id=vote.id,
                messages=prompt.messages,
                choice=screen_choice(vote.choice, vote.shown_left),
                strength=vote.strength,
                reasons=vote.reasons,
                comment=vote.comment,
                edit=edits.get(edit_vote_id(vote.id)),
                at=vote.created_at,
                trained=trained_on(vote, promoted, votes),
            )
            for vote, prompt in found
        ]


def _edits(session: Session, vote_ids: list[str]) -> dict[str, str]:
    """Edited texts by the ids of the votes for them."""
    made = select(Pair.source_vote_id, Pair.response_a).where(
        col(Pair.source_vote_id).in_(vote_ids), col(Pair.purpose) == Purpose.EDIT
    )
    return {edit_vote_id(str(vote_id)): text for vote_id, text in session.exec(made)}
