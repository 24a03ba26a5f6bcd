"""What the alarms look at, in a few cheap queries. See `labeler.domain.alarms`."""

from sqlmodel import Session, col, func, select

from labeler.domain.health import Facts, Sign
from labeler.domain.states import UpdateState
from labeler.store.rating.pairs import count_new
from labeler.store.tables import Lease, Pair, ProcessState, Run, Update, Vote
from labeler.store.views.undecided import undecided

LAST_UPDATES = 20


def facts(session: Session) -> Facts:
    """The facts as they are now."""
    still_open = session.exec(select(Update).where(col(Update.finished_at).is_(None))).first()
    newest = session.exec(select(Update).order_by(col(Update.id).desc()).limit(1)).first()
    run = session.exec(select(Run).where(col(Run.ended_at).is_(None))).first()
    return Facts(
        processes=_signs(session),
        ended=_ended(session),
        open_since=still_open.opened_at if still_open else None,
        heartbeat_at=still_open.heartbeat_at if still_open else None,
        ready=count_new(session),
        moved_at=_moved_at(session, newest),
        in_rounds=newest is not None and newest.mode == "iterative",
        unattended=run is not None,
        undecided=undecided(session),
    )


def _signs(session: Session) -> dict[str, Sign]:
    states = session.exec(select(ProcessState).order_by(col(ProcessState.name)))
    return {each.name: Sign(each.says, each.beat_at, each.alarm) for each in states}


def _ended(session: Session) -> list[UpdateState]:
    """How the last `LAST_UPDATES` ended updates ended, newest first."""
    ended = (
        select(Update.state)
        .where(col(Update.finished_at).is_not(None))
        .order_by(col(Update.id).desc())
        .limit(LAST_UPDATES)
    )
    return [UpdateState(state) for state in session.exec(ended)]


def _moved_at(session: Session, newest: Update | None) -> float | None:
    """When the queue last changed, as far as it left a trace."""
    pair = select(Pair.created_at).order_by(col(Pair.id).desc()).limit(1)
    held = select(func.max(Lease.leased_at)).where(col(Lease.ended_at).is_(None))
    traces = [
        session.exec(pair).first(),
        session.exec(held).one(),
        session.exec(select(func.max(Vote.created_at))).one(),
        newest.finished_at if newest else None,
    ]
    return max((trace for trace in traces if trace is not None), default=None)
