"""What a rater's votes changed: the last updates, each with what came of it.

A rater's part in an update is told by the times of their votes, so that nothing tells a vote on a
pair that checks raters from any other.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.finding import Finding
from labeler.domain.labels import NO_TIES, VoteRules, trainable
from labeler.domain.states import LabelRole, Source, UpdateState, VersionState
from labeler.store.database import Database
from labeler.store.tables import LiveChange, PolicyVersion, Update, UpdateLabel, Vote


@dataclass(frozen=True)
class Live:
    """Where the live pointer went: `now` says that the version is live.

    `until` is when another one (`then`) took its place; `taken_back` says that it was an older one.
    """

    now: bool
    until: float | None
    then: int | None
    taken_back: bool


@dataclass(frozen=True)
class Change:
    """An update that ended.

    `my_labels` is how many of its labels this rater gave in its time, never more than there are.
    `parent` is the version that it started from. `live` is None if the version never was.
    """

    update_id: int
    state: UpdateState
    version_id: int | None
    parent: int | None
    ended_at: float
    my_labels: int
    finding: Finding
    reason: str | None
    live: Live | None


class Changes:
    """The verbs on what came of votes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, rater_id: int, *, last: int, votes: VoteRules = NO_TIES) -> list[Change]:
        """The last so many ended updates, newest first, with this rater's part in them.

        `votes` say which votes updates learn from.
        """
        ended = (
            select(Update)
            .where(col(Update.finished_at).is_not(None))
            .order_by(col(Update.id).desc())
            .limit(last)
        )
        with self._database.read() as session:
            return [_change(session, update, rater_id, votes) for update in session.exec(ended)]


def labels_by_rater(session: Session, update_id: int, rules: VoteRules) -> dict[int, int]:
    """How many labels each rater gave in the time of an update, at most as many as people gave.

    Its time is from the opening of the update before it that made a version live, to its own.
    """
    update = session.get_one(Update, update_id)
    went_live = select(LiveChange.version_id).where(col(LiveChange.at) <= update.opened_at)
    since = select(sa.func.coalesce(sa.func.max(Update.opened_at), 0.0)).where(
        col(Update.id) < update.id, col(Update.version_id).in_(went_live)
    )
    rater, number = col(Vote.rater_id), sa.func.count()
    votes = sa.select(rater, number).where(
        col(Vote.source) == Source.HUMAN,
        col(Vote.superseded_by).is_(None),
        col(Vote.created_at) > session.exec(since).one(),
        col(Vote.created_at) <= update.opened_at,
        col(Vote.choice).in_(trainable(rules)),
        col(Vote.lease_id).is_not(None),  # an edit's vote came with another one
    )
    of_people = _of_people(session, update)
    found = session.execute(votes.group_by(rater))
    return {each: min(labels, of_people) for each, labels in found}


def _of_people(session: Session, update: Update) -> int:
    """How many labels of people an update trained on for the first time, or was to."""
    if update.finding.labels is not None:
        return update.finding.labels - update.finding.judged
    listed = (
        select(sa.func.count())
        .select_from(UpdateLabel)
        .join(Vote, col(Vote.id) == col(UpdateLabel.vote_id))
        .where(
            col(UpdateLabel.update_id) == update.id,
            col(UpdateLabel.role) == LabelRole.TRAIN,
            col(Vote.source) == Source.HUMAN,
        )
    )
    return session.exec(listed).one()


def _change(session: Session, update: Update, rater_id: int, rules: VoteRules) -> Change:
    version = session.get(PolicyVersion, update.version_id) if update.version_id else None
    assert update.id is not None
    assert update.finished_at is not None
    return Change(
        update_id=update.id,
        state=update.state,
        version_id=update.version_id,
        parent=version.parent_id if version else None,
        ended_at=update.finished_at,
        my_labels=labels_by_rater(session, update.id, rules).get(rater_id, 0),
        finding=update.finding,
        reason=update.reason,
        live=_live(session, version) if version else None,
    )


def _live(session: Session, version: PolicyVersion) -> Live | None:
    newest = (
        select(LiveChange)
        .where(col(LiveChange.version_id) == version.id)
        .order_by(col(LiveChange.id).desc())
    )
    became = session.exec(newest).first()
    if became is None:
        return None
    later = select(LiveChange).where(col(LiveChange.id) > became.id).order_by(col(LiveChange.id))
    left = session.exec(later).first()
    return Live(
        now=version.state is VersionState.LIVE,
        until=left.at if left else None,
        then=left.version_id if left else None,
        taken_back=left is not None and left.version_id < version.id,
    )
