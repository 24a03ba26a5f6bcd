"""What the store knows of an unattended run, for its summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlmodel import Session, col, func, select

from labeler.domain.finding import NOTHING, Finding
from labeler.domain.judge_report import JudgeReport
from labeler.domain.states import Source, VersionState
from labeler.store.learning.judge_report import judge_report, scores
from labeler.store.live_version import live_id
from labeler.store.tables import PolicyVersion, Run, Update, Vote

State = Literal["first", "promoted", "rejected"]


@dataclass(frozen=True)
class VersionFacts:
    """A version: what its update came to, and the judge's mean score if it gives any.

    `rejected` says why the gate kept it back, if it did. The policy that the run began with is
    "first".
    """

    number: int
    state: State
    finding: Finding = NOTHING
    score: float | None = None
    rejected: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """An unattended run.

    `reason` is the sentence that it ended with, and `alarmed` whether that was something to look
    at and no budget. `seconds` is how long it worked, `spent` seconds by kind of work; what they
    leave is the rest. `abstentions` are counts by cause, and `agreement` is the judge's report,
    where people labelled too.
    """

    judge: str
    reason: str
    seconds: float
    labels: int
    versions: Sequence[VersionFacts]
    live: int
    options: str
    policy: str
    alarmed: bool = False
    spent: Mapping[str, float] = field(default_factory=dict)
    abstentions: Mapping[str, int] = field(default_factory=dict)
    agreement: JudgeReport | None = None

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the time by kind of work, the rest too; empty if nothing was timed."""
        if not self.spent or self.seconds <= 0:
            return {}
        shares = {kind: seconds / self.seconds for kind, seconds in self.spent.items()}
        return shares | {"rest": max(0.0, 1 - sum(shares.values()))}


def run_facts(
    session: Session, *, reason: str, alarmed: bool, policy: str, options: str
) -> RunFacts:
    """The facts of the newest run, and of every version of the data dir."""
    run = session.exec(select(Run).order_by(col(Run.id).desc()).limit(1)).one()
    report = judge_report(session, run.judge)
    by_judge = col(Vote.source) == Source.JUDGE, col(Vote.superseded_by).is_(None)
    return RunFacts(
        judge=run.judge,
        reason=reason,
        seconds=run.seconds,
        labels=session.exec(select(func.count()).select_from(Vote).where(*by_judge)).one(),
        versions=_versions(session, run.judge),
        live=live_id(session) or 0,
        options=options,
        policy=policy,
        alarmed=alarmed,
        spent=run.spent,
        abstentions=report.abstained if report else {},
        agreement=report if report and report.figures.pairs else None,
    )


def _versions(session: Session, judge: str) -> list[VersionFacts]:
    """Every version that came of the loop, oldest first."""
    by_version = scores(session, judge)
    rows = (
        select(PolicyVersion, Update.reason)
        .join(Update, col(Update.version_id) == col(PolicyVersion.id), isouter=True)
        .where(col(PolicyVersion.state) != VersionState.CANDIDATE)
        .order_by(col(PolicyVersion.id))
    )
    return [
        VersionFacts(
            version.id,
            "first" if version.folder is None else "rejected" if reason else "promoted",
            version.finding,
            score=found.value if (found := by_version.get(version.id)) else None,
            rejected=reason,
        )
        for version, reason in session.exec(rows)
    ]
