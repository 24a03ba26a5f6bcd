"""Updates: opened by the scheduler, claimed and ended by the worker, each step one transaction.

A label belongs to an update from the moment it opens and counts as used only when the update is
promoted, in the transaction that makes the new version live. A failed or rejected update needs no
bookkeeping to give its labels back: they were never marked.
"""

from collections.abc import Sequence

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from labeler.labels import DECISIVE, TrainingLabel, preference
from labeler.store.database import Database
from labeler.store.queue import add_pairs, retire_old_pairs
from labeler.store.records import Claim, ClaimLostError, NewPair, NewVersion
from labeler.store.versions import keep_rejected, make_live
from labeler.tables import Pair, Update, UpdateLabel, UpdateState, Vote

MODE = "streaming"
MAX_ATTEMPTS = 3
# An update stays short however fast people vote: the oldest labels first, the rest in the next.
MOST_TIMES_DUE = 4
HEARTBEAT_TIMEOUT_SECONDS = 300.0
FIRST_BACKOFF_SECONDS = 30.0
LONGEST_BACKOFF_SECONDS = 3600.0


class Updates:
    """The verbs on updates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_if_due(
        self, *, labels_per_update: int, max_staleness: int, cooldown_seconds: float, now: float
    ) -> int | None:
        """Open an update if enough fresh labels wait and none is open; returns its id.

        A rejected update waits for as many labels that it had not seen; a failed one is tried again
        after a back-off that doubles.
        """
        with self._database.read() as session:
            if not _is_due(session, labels_per_update, max_staleness, cooldown_seconds, now):
                return None
        with self._database.write() as session:
            if not _is_due(session, labels_per_update, max_staleness, cooldown_seconds, now):
                return None
            update = Update(mode=MODE, state=UpdateState.OPEN, opened_at=now)
            session.add(update)
            session.flush()
            assert update.id is not None
            most = MOST_TIMES_DUE * labels_per_update
            for vote_id in fresh_votes(session, max_staleness)[:most]:
                session.add(UpdateLabel(update_id=update.id, vote_id=vote_id))
            return update.id

    def claim(self, *, worker: str, now: float) -> Claim | None:
        """Take the open update, or one whose worker died; None if there is none to take.

        `worker` names the process's place, not the process: a worker that starts again under the
        same name takes up what its predecessor held.
        """
        with self._database.read() as session:
            if session.exec(_open()).first() is None:
                return None
        with self._database.write() as session:
            update = session.exec(_open()).first()
            if update is None or not _is_free(update, worker, now):
                return None
            if update.attempt >= MAX_ATTEMPTS:
                reason = f"the worker died in each of {MAX_ATTEMPTS} attempts"
                _finish(update, UpdateState.FAILED, now, reason=reason)
                return None
            assert update.id is not None
            labels = _training_labels(session, update.id)
            if not labels:
                reason = "all its labels were undone before it began"
                _finish(update, UpdateState.REJECTED, now, reason=reason)
                return None
            update.state, update.worker = UpdateState.CLAIMED, worker
            update.attempt += 1
            update.heartbeat_at, update.steps_done = now, 0
            return Claim(update.id, update.attempt, worker, labels)

    def beat(self, claim: Claim, state: UpdateState, *, done: int, total: int, now: float) -> None:
        """Say that the worker lives and how far it is. Raises ClaimLostError."""
        with self._database.write() as session:
            update = _held(session, claim)
            update.state, update.heartbeat_at = state, now
            update.steps_done, update.steps_total = done, total

    def release(self, claim: Claim) -> None:
        """Give the update back untouched, as a worker does that is told to stop."""
        with self._database.write() as session:
            update = _held(session, claim)
            update.state, update.worker, update.heartbeat_at = UpdateState.OPEN, None, None
            update.attempt -= 1

    def promote(
        self,
        claim: Claim,
        version: NewVersion,
        pairs: Sequence[NewPair],
        *,
        trained_on: Sequence[str],
        now: float,
    ) -> None:
        """Make the version live and its labels used, retire older pairs and queue its first ones.

        All in one transaction. `trained_on` are vote ids. Raises ClaimLostError.
        """
        with self._database.write() as session:
            update = _held(session, claim)
            make_live(session, version, now=now)
            for vote in session.exec(select(Vote).where(col(Vote.id).in_(trained_on))):
                vote.used_in_update = claim.update_id
            retire_old_pairs(session)
            add_pairs(session, pairs, now=now)
            update.version_id, update.metrics = version.id, version.metrics
            _finish(update, UpdateState.PROMOTED, now)

    def reject(self, claim: Claim, version: NewVersion, *, reason: str, now: float) -> None:
        """Keep the version as rejected; its labels are free again. Raises ClaimLostError."""
        with self._database.write() as session:
            update = _held(session, claim)
            keep_rejected(session, version, now=now)
            update.version_id, update.metrics = version.id, version.metrics
            _finish(update, UpdateState.REJECTED, now, reason=reason)

    def fail(self, claim: Claim, *, reason: str, now: float) -> None:
        """End an update that broke; its labels are free again. Raises ClaimLostError."""
        with self._database.write() as session:
            _finish(_held(session, claim), UpdateState.FAILED, now, reason=reason)

    def last(self) -> Update | None:
        """The newest update, open or ended."""
        with self._database.read() as session:
            return session.exec(select(Update).order_by(col(Update.id).desc()).limit(1)).first()


def fresh_votes(session: Session, max_staleness: int) -> list[str]:
    """Ids of the labels that wait for an update, oldest first.

    Decisive, not undone, not used, not too stale, and not on the list of an open update.
    """
    listed = (
        select(UpdateLabel.vote_id)
        .join(Update, col(Update.id) == col(UpdateLabel.update_id))
        .where(col(Update.finished_at).is_(None))
    )
    fresh = (
        select(Vote.id)
        .where(
            col(Vote.choice).in_(DECISIVE),
            col(Vote.superseded_by).is_(None),
            col(Vote.used_in_update).is_(None),
            col(Vote.staleness) <= max_staleness,
            col(Vote.id).not_in(listed),
        )
        .order_by(col(Vote.created_at), col(Vote.id))
    )
    return list(session.exec(fresh))


def count_new_votes(session: Session, max_staleness: int) -> int:
    """How many fresh labels bring the next update nearer: those that no rejected one had."""
    tried = (
        select(UpdateLabel.vote_id)
        .join(Update, col(Update.id) == col(UpdateLabel.update_id))
        .where(col(Update.state) == UpdateState.REJECTED)
    )
    refused = set(session.exec(tried))
    return sum(vote not in refused for vote in fresh_votes(session, max_staleness))


def _is_due(
    session: Session, labels_per_update: int, max_staleness: int, cooldown: float, now: float
) -> bool:
    if session.exec(_open()).first() is not None:
        return False
    ended = session.exec(select(Update).order_by(col(Update.id).desc()).limit(20)).all()
    if ended and now < _may_open_at(ended, cooldown):
        return False
    return count_new_votes(session, max_staleness) >= labels_per_update


def _may_open_at(ended: Sequence[Update], cooldown: float) -> float:
    """When the next update may open, given the ended ones, newest first."""
    failures = 0
    for update in ended:
        if update.state is not UpdateState.FAILED:
            break
        failures += 1
    backoff = FIRST_BACKOFF_SECONDS * 2 ** (failures - 1) if failures else 0.0
    assert ended[0].finished_at is not None
    return ended[0].finished_at + max(cooldown, min(backoff, LONGEST_BACKOFF_SECONDS))


def _open() -> SelectOfScalar[Update]:
    return select(Update).where(col(Update.finished_at).is_(None))


def _is_free(update: Update, worker: str, now: float) -> bool:
    if update.worker is None or update.worker == worker:
        return True
    return (update.heartbeat_at or 0.0) < now - HEARTBEAT_TIMEOUT_SECONDS


def _held(session: Session, claim: Claim) -> Update:
    update = session.get_one(Update, claim.update_id)
    holder = (update.worker, update.attempt, update.finished_at)
    if holder != (claim.worker, claim.attempt, None):
        raise ClaimLostError(
            f"update {claim.update_id} is no longer held by attempt {claim.attempt}"
        )
    return update


def _finish(update: Update, state: UpdateState, now: float, reason: str | None = None) -> None:
    update.state, update.reason, update.finished_at = state, reason, now


def _training_labels(session: Session, update_id: int) -> list[TrainingLabel]:
    """The update's labels as they stand now: one that was undone meanwhile is left out."""
    rows = (
        select(Vote, Pair)
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .join(UpdateLabel, col(UpdateLabel.vote_id) == col(Vote.id))
        .where(col(UpdateLabel.update_id) == update_id, col(Vote.superseded_by).is_(None))
        .order_by(col(Vote.created_at), col(Vote.id))
    )
    return [_training_label(vote, pair) for vote, pair in session.exec(rows)]


def _training_label(vote: Vote, pair: Pair) -> TrainingLabel:
    said = preference(vote.choice)
    return TrainingLabel(
        vote_ids=(vote.id,),
        target=said.target,
        weight=said.weight,
        prompt_tokens=pair.prompt_tokens,
        tokens_a=pair.tokens_a,
        tokens_b=pair.tokens_b,
        reference_logp_a=pair.reference_logp_a,
        reference_logp_b=pair.reference_logp_b,
    )
