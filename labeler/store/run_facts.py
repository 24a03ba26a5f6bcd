"""What the store knows of an unattended run, for its summary."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, func, select

from labeler.store.judge_report import judge_report
from labeler.store.live import live_id
from labeler.summary import RunFacts, VersionFacts
from labeler.tables import Pair, PolicyVersion, Run, Source, Update, Verdict, VersionState, Vote


def run_facts(session: Session, *, reason: str, alarmed: bool, data_dir: str) -> RunFacts:
    """The facts of the newest run, and of every version of the data dir."""
    run = session.exec(select(Run).order_by(col(Run.id).desc()).limit(1)).one()
    judge = judge_report(session) or {}
    by_judge = col(Vote.source) == Source.JUDGE, col(Vote.superseded_by).is_(None)
    return RunFacts(
        judge=run.judge,
        reason=reason,
        seconds=run.seconds,
        labels=session.exec(select(func.count()).select_from(Vote).where(*by_judge)).one(),
        versions=_versions(session, run.judge),
        live=live_id(session) or 0,
        data_dir=data_dir,
        alarmed=alarmed,
        spent=run.spent,
        abstentions=judge.get("abstained", {}),
        agreement=judge if judge.get("pairs") else None,
    )


def _versions(session: Session, judge: str) -> list[VersionFacts]:
    """Every version that came of the loop, oldest first."""
    scores = _scores(session, judge)
    rows = (
        select(PolicyVersion, Update.reason)
        .join(Update, col(Update.version_id) == col(PolicyVersion.id), isouter=True)
        .where(col(PolicyVersion.state) != VersionState.CANDIDATE)
        .order_by(col(PolicyVersion.id))
    )
    return [
        VersionFacts.of(
            version.id,
            "first" if version.folder is None else "rejected" if reason else "promoted",
            version.metrics,
            score=scores.get(version.id),
            rejected=reason,
        )
        for version, reason in session.exec(rows)
    ]


def _scores(session: Session, judge: str) -> Mapping[int, Any]:
    """The judge's mean score of the responses of each version, if it scores."""
    mean = func.avg((col(Verdict.score_a) + col(Verdict.score_b)) / 2)
    rows = (
        select(Pair.version_id, mean)
        .join(Verdict, col(Verdict.pair_id) == col(Pair.id))
        .where(col(Verdict.judge) == judge, col(Verdict.score_a).is_not(None))
        .group_by(col(Pair.version_id))
    )
    return dict(session.exec(rows).all())
