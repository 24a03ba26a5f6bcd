"""What the store knows of an unattended run, for its summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from sqlmodel import Session, col, func, select

from labeler.domain.states import Source, VersionState
from labeler.store.learning.judge_report import judge_report
from labeler.store.live_version import live_id
from labeler.store.tables import Pair, PolicyVersion, Run, Update, Verdict, Vote

State = Literal["first", "promoted", "rejected"]


@dataclass(frozen=True)
class Won:
    """Share of pairs in which the judge prefers a version to the one before, with its interval."""

    rate: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class VersionFacts:
    """A version as the gate found it; None is what nobody measured.

    KL and entropy are in nats a token, `tokens` is the mean length, `score` the judge's mean score
    if it gives any. `rejected` says why, if it was. The policy that the run began with is "first".
    """

    number: int
    state: State
    labels: int = 0
    won: Won | None = None
    kl_live: float | None = None
    kl_reference: float | None = None
    tokens: float | None = None
    unfinished: float | None = None
    entropy: float | None = None
    score: float | None = None
    rejected: str | None = None

    @classmethod
    def of(
        cls,
        number: int,
        state: State,
        metrics: Mapping[str, Any],
        *,
        score: float | None = None,
        rejected: str | None = None,
    ) -> Self:
        """The facts of a version from the metrics that are stored with it."""
        won = metrics.get("win_rate")
        return cls(
            number=number,
            state=state,
            labels=metrics.get("labels", 0),
            won=Won(**won) if won else None,
            kl_live=metrics.get("kl_live"),
            kl_reference=metrics.get("kl_reference"),
            tokens=metrics.get("tokens_candidate"),
            unfinished=metrics.get("unfinished_candidate"),
            entropy=metrics.get("entropy_candidate"),
            score=score,
            rejected=rejected,
        )


@dataclass(frozen=True)
class RunFacts:
    """An unattended run.

    `reason` is the sentence that it ended with, and `alarmed` whether that was something to look
    at and no budget. `seconds` is how long it worked, `spent` seconds by kind of work; what they
    leave is the rest. `abstentions` are counts by cause, and `agreement` is
    `JudgeFigures.as_dict()`, where people labelled too.
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
    agreement: Mapping[str, Any] | None = None

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
    judge = judge_report(session, run.judge) or {}
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
