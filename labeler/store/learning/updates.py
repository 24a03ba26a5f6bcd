"""Updates: opened by the scheduler, claimed and ended by the worker, each step one transaction.

A label belongs to an update from the moment it opens and counts as used only when the update is
promoted, in the transaction that makes the new version live. A failed or rejected update needs no
bookkeeping to give its labels back: they were never marked.

An update trains from the version that is live when it is claimed. If somebody makes another version
live meanwhile, it is given back untouched and starts again, also where the first one is live again
by then: a version that had been refused may have used up some of its labels. Only people move the
live pointer while an update runs, so this ends.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from labeler.domain.clocks import age
from labeler.domain.labels import VoteRules
from labeler.domain.rules import ONLY_LIVE, DueRules, QueueRules
from labeler.domain.states import LabelRole, UpdateState, VersionState
from labeler.store.database import Database
from labeler.store.holders import TRAINER, refuse_other
from labeler.store.learning.label_selection import ALL_ALIKE, listed_labels, new_votes, write_list
from labeler.store.learning.rounds import is_over, pairs_left
from labeler.store.learning.versions import new_row
from labeler.store.live_version import last_move, live_id, move_to
from labeler.store.rating.pairs import add_pairs, retire_replaced, retire_too_old
from labeler.store.records import Claim, ClaimLostError, NewPair, NewVersion
from labeler.store.tables import (
    FilledPair,
    LiveChange,
    PolicyVersion,
    Update,
    UpdateLabel,
    Vote,
)

MAX_ATTEMPTS = 3
MAX_LOOKED_BACK = 20  # updates, for how many failed in a row
HEARTBEAT_TIMEOUT_SECONDS = 300.0
FIRST_BACKOFF_SECONDS = 30.0
MAX_BACKOFF_SECONDS = 3600.0


class Updates:
    """The verbs on updates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_if_due(self, rules: DueRules, *, now: float) -> int | None:
        """Open an update if enough fresh labels wait and none is open; returns its id.

        A rejected update waits for as many labels that it had not trained on; a failed one is tried
        again after a back-off that doubles.
        """
        with self._database.read() as session:
            if not _is_due(session, rules, now):
                return None
        with self._database.write() as session:
            if not _is_due(session, rules, now):
                return None
            update = Update(mode=rules.mode, state=UpdateState.OPEN, opened_at=now)
            session.add(update)
            session.flush()
            assert update.id is not None
            write_list(session, update.id, rules)
            return update.id

    def round_left(self, rules: DueRules) -> int:
        """How many more pairs of the live version this round of mode iterative takes."""
        with self._database.read() as session:
            return pairs_left(session, rules)

    def labels_missing(self, rules: DueRules) -> int:
        """How many more labels make the next update due; none while one is open, or none is made.

        This is for mode streaming; `round_left` says it of rounds.
        """
        with self._database.read() as session:
            spent = rules.max_updates is not None and promoted(session) >= rules.max_updates
            if spent or session.exec(_open()).first() is not None:
                return 0
            waiting = new_votes(session, rules.votes, rules.max_staleness)
            return max(0, rules.labels_per_update - len(waiting))

    def is_one_open(self) -> bool:
        """Whether there is an update to claim or to go on with."""
        with self._database.read() as session:
            return session.exec(_open()).first() is not None

    def claim(
        self,
        *,
        worker: str,
        rules: VoteRules,
        now: float,
        reliability: Mapping[int, float] = ALL_ALIKE,
    ) -> Claim | None:
        """Take the open update, or one whose worker died; None if there is none to take.

        `worker` is a token of the process. Another one's update is free once its heart has stopped,
        or when the one that has the role of the trainer has said so (`take_over`). `reliability` is
        how much the votes of each rater weigh. Raises LeaseLostError if that role is another's.
        """
        with self._database.read() as session:
            if session.exec(_open()).first() is None:
                return None
        with self._database.write() as session:
            refuse_other(session, TRAINER, worker)
            update = session.exec(_open()).first()
            if update is None or not _is_free(update, worker, now):
                return None
            if update.attempt >= MAX_ATTEMPTS:
                reason = f"the worker died in each of {MAX_ATTEMPTS} attempts"
                _finish(update, UpdateState.FAILED, now, reason=reason)
                return None
            claim = _claim(session, update, worker, rules, reliability)
            ties_teach = rules.ties_count and claim.weightless
            if claim.fresh == 0 and not ties_teach:
                reason = "all its labels were undone before it began"
                if claim.weightless:
                    reason = "all its labels are of raters whose votes weigh nothing"
                _finish(update, UpdateState.REJECTED, now, reason=reason)
                return None
            update.state, update.worker = UpdateState.CLAIMED, worker
            update.attempt = claim.attempt
            update.heartbeat_at, update.steps_done = now, 0
            return claim

    def take_over(self, *, worker: str) -> int | None:
        """Free the update that another process holds; returns its number, None if there is none.

        For a worker that holds the lock of this database, or has the role of the trainer: no other
        one may write. The attempt in which that one died counts. Raises LeaseLostError.
        """
        with self._database.write() as session:
            refuse_other(session, TRAINER, worker)
            update = session.exec(_open()).first()
            if update is None or update.worker in (None, worker):
                return None
            _let_go(update)
            return update.id

    def beat(self, claim: Claim, state: UpdateState, *, done: int, total: int, now: float) -> None:
        """Say that the worker lives and how far it is. Raises ClaimLostError."""
        with self._database.write() as session:
            update = _held(session, claim)
            if _can_go_on(session, claim):
                update.state, update.heartbeat_at = state, now
                update.steps_done, update.steps_total = done, total
                return
            _give_back(update)
        raise _overtaken(claim)

    def release(self, claim: Claim) -> None:
        """Give the update back untouched, as a worker does that is told to stop."""
        with self._database.write() as session:
            _give_back(_held(session, claim))

    def promote(
        self,
        claim: Claim,
        version: NewVersion,
        pairs: Sequence[NewPair],
        *,
        trained_on: Sequence[str],
        now: float,
        votes_wanted: int = 1,
        queue: QueueRules = ONLY_LIVE,
    ) -> None:
        """Make the version live and its labels used, and queue its first pairs.

        All in one transaction. Older pairs that nobody holds stay as the rules of the `queue` say.
        `trained_on` are vote ids; those replayed were used before, and stay with the update that
        used them. Raises ClaimLostError.
        """
        with self._database.write() as session:
            update = _held(session, claim)
            if _can_go_on(session, claim, version):
                row = new_row(version, VersionState.CANDIDATE, parent=claim.parent, now=now)
                move_to(session, row, now=now)
                _use(session, claim.update_id, [*trained_on, *claim.weightless])
                add_pairs(session, pairs, now=now, votes_wanted=votes_wanted)
                retire_too_old(session, queue.max_staleness)
                retire_replaced(session, queue.pairs)
                _note(session, update, version, claim)
                _finish(update, UpdateState.PROMOTED, now)
                return
            _give_back(update)
        raise _overtaken(claim)

    def reject(self, claim: Claim, version: NewVersion, *, reason: str, now: float) -> None:
        """Keep the version as rejected; its labels are free again. Raises ClaimLostError."""
        with self._database.write() as session:
            update = _held(session, claim)
            if _can_go_on(session, claim, version):
                session.add(new_row(version, VersionState.REJECTED, parent=claim.parent, now=now))
                session.flush()
                _note(session, update, version, claim)
                _finish(update, UpdateState.REJECTED, now, reason=reason)
                return
            _give_back(update)
        raise _overtaken(claim)

    def decline(self, claim: Claim, *, reason: str, now: float) -> None:
        """End an update that has nothing to learn from; its votes wait for more of them.

        Raises ClaimLostError.
        """
        with self._database.write() as session:
            _finish(_held(session, claim), UpdateState.REJECTED, now, reason=reason)

    def fail(self, claim: Claim, *, reason: str, now: float) -> None:
        """End an update that broke; its labels are free again. Raises ClaimLostError."""
        with self._database.write() as session:
            _finish(_held(session, claim), UpdateState.FAILED, now, reason=reason)

    def last(self) -> Update | None:
        """The newest update, open or ended."""
        with self._database.read() as session:
            return session.exec(select(Update).order_by(col(Update.id).desc()).limit(1)).first()


def _is_due(session: Session, rules: DueRules, now: float) -> bool:
    if session.exec(_open()).first() is not None:
        return False
    ended = session.exec(
        select(Update).order_by(col(Update.id).desc()).limit(MAX_LOOKED_BACK)
    ).all()
    if ended and seconds_left(ended, rules.cooldown_seconds, now) > 0:
        return False
    if rules.max_updates is not None and promoted(session) >= rules.max_updates:
        return False
    if rules.mode == "iterative":
        return is_over(session, rules)
    waiting = new_votes(session, rules.votes, rules.max_staleness)
    return len(waiting) >= rules.labels_per_update


def promoted(session: Session) -> int:
    """How many updates have made a version live."""
    done = col(Update.state) == UpdateState.PROMOTED
    return session.exec(select(sa.func.count()).select_from(Update).where(done)).one()


def seconds_left(ended: Sequence[Update], cooldown: float, now: float) -> float:
    """Until the next update may open, given the ended ones, newest first."""
    failures = 0
    for update in ended:
        if update.state is not UpdateState.FAILED:
            break
        failures += 1
    backoff = FIRST_BACKOFF_SECONDS * 2 ** (failures - 1) if failures else 0.0
    assert ended[0].finished_at is not None
    wait = max(cooldown, min(backoff, MAX_BACKOFF_SECONDS))
    return max(0.0, wait - age(ended[0].finished_at, now))


def _open() -> SelectOfScalar[Update]:
    return select(Update).where(col(Update.finished_at).is_(None))


def _is_free(update: Update, worker: str, now: float) -> bool:
    if update.worker is None or update.worker == worker:
        return True
    return (update.heartbeat_at or 0.0) < now - HEARTBEAT_TIMEOUT_SECONDS


def _claim(
    session: Session,
    update: Update,
    worker: str,
    rules: VoteRules,
    reliability: Mapping[int, float],
) -> Claim:
    """The next attempt at an update, with the labels that its list makes now."""
    parent = live_id(session)
    assert update.id is not None
    assert parent is not None  # there are votes, so there were pairs of a version
    order = LabelRole.TRAIN, LabelRole.HELD_OUT, LabelRole.REPLAY, LabelRole.REMEMBERED
    (train, weightless), (held_out, _), (replay, _), (remembered, _) = (
        listed_labels(session, update.id, role, rules, reliability) for role in order
    )
    return Claim(
        update_id=update.id,
        attempt=update.attempt + 1,
        worker=worker,
        parent=parent,
        move=last_move(session),
        labels=train + replay,
        held_out=held_out,
        remembered=remembered,
        replayed=len(replay),
        used=_used(session),
        refusals=_refusals(session),
        weightless=tuple(weightless),
    )


def _used(session: Session) -> int:
    """How many votes have been trained on."""
    used = col(Vote.used_in_update).is_not(None)
    return session.exec(select(sa.func.count()).select_from(Vote).where(used)).one()


def _refusals(session: Session) -> int:
    """How many versions the gate has refused since the live pointer moved."""
    moved = select(sa.func.max(LiveChange.at)).scalar_subquery()
    refused = select(sa.func.count()).where(
        col(Update.state) == UpdateState.REJECTED,
        col(Update.version_id).is_not(None),
        col(Update.finished_at) > moved,
    )
    return session.exec(refused).one()


def _held(session: Session, claim: Claim) -> Update:
    refuse_other(session, TRAINER, claim.worker)
    update = session.get_one(Update, claim.update_id)
    holder = (update.worker, update.attempt, update.finished_at)
    if holder != (claim.worker, claim.attempt, None):
        raise ClaimLostError(
            f"update {claim.update_id} is no longer held by attempt {claim.attempt}"
        )
    return update


def _can_go_on(session: Session, claim: Claim, version: NewVersion | None = None) -> bool:
    """Whether no version went live since the claim, and the number of the new one is not taken."""
    taken = version is not None and session.get(PolicyVersion, version.id) is not None
    return last_move(session) == claim.move and not taken


def _give_back(update: Update) -> None:
    """Open the update again; the attempt does not count."""
    _let_go(update)
    update.attempt -= 1


def _let_go(update: Update) -> None:
    """Nobody holds the update any more."""
    update.state, update.worker, update.heartbeat_at = UpdateState.OPEN, None, None


def _overtaken(claim: Claim) -> ClaimLostError:
    return ClaimLostError(
        f"update {claim.update_id} starts again: the versions changed while it trained "
        f"from version {claim.parent}"
    )


def _use(session: Session, update_id: int, vote_ids: Sequence[str]) -> None:
    """Mark the votes that the update listed to train on, of those given, as used by it."""
    listed = (
        select(Vote)
        .join(UpdateLabel, col(UpdateLabel.vote_id) == col(Vote.id))
        .where(
            col(UpdateLabel.update_id) == update_id,
            col(UpdateLabel.role) == LabelRole.TRAIN,
            col(Vote.id).in_(vote_ids),
        )
    )
    for vote in session.exec(listed):
        vote.used_in_update = update_id


def _note(session: Session, update: Update, version: NewVersion, claim: Claim) -> None:
    """The version that an update made, what was found, and what it learned from besides votes."""
    update.version_id, update.finding = version.id, version.finding
    session.add_all(
        FilledPair(update_id=claim.update_id, version_id=claim.parent, **vars(pair))
        for pair in version.filled
    )


def _finish(update: Update, state: UpdateState, now: float, reason: str | None = None) -> None:
    update.state, update.reason, update.finished_at = state, reason, now
