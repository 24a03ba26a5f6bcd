"""What those who run the service see of it: counts, series over time, versions, updates.

Each verb reads a bounded number of rows, or passes once over an index: the dashboard asks every
other second. How long a page may keep an answer is the web's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from labeler.domain.alarms import alarms
from labeler.domain.estimate import Estimate
from labeler.domain.health import Disk, Sign
from labeler.domain.process_names import ROLES, role_of
from labeler.domain.rules import DueRules
from labeler.domain.states import Choice, PairState, Source, UpdateState
from labeler.store.database import Database
from labeler.store.learning.judge_report import scores
from labeler.store.live_version import live_version
from labeler.store.rating.checks import labels_on_checks
from labeler.store.rating.overlap import ACTIVE_SECONDS, active_raters
from labeler.store.tables import Pair, PolicyVersion, Service, Update, Verdict, Vote
from labeler.store.views.counts import (
    count,
    held_pairs,
    labels_by_source,
    labels_to_update,
    pairs_by_state,
)
from labeler.store.views.health import facts

SHOWN_UPDATES = 50
SHOWN_VERSIONS = 200
MAX_TIMED_VOTES = 20_000
NONE_ENDED = "no update has ended yet"


@dataclass(frozen=True)
class Now:
    """The service as it is. `labels_hour` are those of the last hour; `accepted` is the share of
    the last ended updates that went live.
    """

    live: int | None
    live_since: float | None
    parent: int | None
    fresh: int
    labels_hour: int
    ready: int
    leased: int
    aside: int
    active: int
    accepted: Estimate
    open_update: Mapping[str, Any] | None
    processes: Sequence[Mapping[str, Any]]
    alarms: Sequence[str]
    drawing: Mapping[str, Any] | None


@dataclass(frozen=True)
class Totals:
    """Standing labels by source, how many of them are used, and pairs that are settled."""

    human: int
    judge: int
    used: int
    labelled: int
    expired: int


@dataclass(frozen=True)
class Series:
    """Labels in buckets of `bucket_seconds`, the first of which begins at `start`.

    `seconds` are people's times for a vote, oldest first, as (bucket, seconds); of very many the
    newest `MAX_TIMED_VOTES`.
    """

    start: float
    bucket_seconds: float
    human: Mapping[int, int]
    judge: Mapping[int, int]
    seconds: Sequence[tuple[int, float]] = field(default=())


class Dashboard:
    """The read-only verbs of the dashboard."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self, rules: DueRules, *, now: float, disk: Disk | None = None) -> Now:
        """The counts of this moment; `disk` is that of the data dir."""
        with self._database.read() as session:
            live, service, seen = live_version(session), session.get(Service, 1), facts(session)
            recent = col(Vote.created_at) > now - 3600
            return Now(
                live=live.id if live else None,
                live_since=live.live_at if live else None,
                parent=live.parent_id if live else None,
                fresh=labels_to_update(session, rules),
                labels_hour=sum(
                    standing for standing, _ in labels_by_source(session, recent).values()
                ),
                ready=seen.ready,
                leased=held_pairs(session),
                aside=count(session, Pair, col(Pair.aside_at).is_not(None)),
                active=len(active_raters(session, since=now - ACTIVE_SECONDS)),
                accepted=_accepted(seen.ended),
                open_update=_open_update(session),
                processes=_processes(seen.processes, now),
                alarms=alarms(seen, now=now, disk=disk),
                drawing=service.drawing if service else None,
            )

    def totals(self) -> Totals:
        """The counts of all time; passes once over two indexes."""
        with self._database.read() as session:
            labels = labels_by_source(session)
            states = pairs_by_state(session)
            return Totals(
                human=labels[Source.HUMAN][0],
                judge=labels[Source.JUDGE][0],
                used=sum(used for _, used in labels.values()),
                labelled=states.get(PairState.LABELLED, 0),
                expired=states.get(PairState.EXPIRED, 0),
            )

    def oldest_label(self) -> float | None:
        """When the first label was given."""
        with self._database.read() as session:
            return session.exec(select(func.min(Vote.created_at))).one()

    def series(self, *, start: float, bucket_seconds: float) -> Series:
        """Labels and times from `start` on."""
        with self._database.read() as session:
            counts = {
                source: _bucketed(session, source, start, bucket_seconds) for source in Source
            }
            return Series(
                start=start,
                bucket_seconds=bucket_seconds,
                human=counts[Source.HUMAN],
                judge=counts[Source.JUDGE],
                seconds=_timed(session, start, bucket_seconds),
            )

    def versions(self) -> list[PolicyVersion]:
        """The newest versions, oldest first."""
        newest = select(PolicyVersion).order_by(col(PolicyVersion.id).desc()).limit(SHOWN_VERSIONS)
        with self._database.read() as session:
            return list(session.exec(newest))[::-1]

    def updates(self) -> list[tuple[Update, PolicyVersion | None]]:
        """The newest updates with the version that each made, newest first."""
        rows = (
            select(Update, PolicyVersion)
            .join(PolicyVersion, col(PolicyVersion.id) == col(Update.version_id), isouter=True)
            .order_by(col(Update.id).desc())
            .limit(SHOWN_UPDATES)
        )
        with self._database.read() as session:
            return [(update, version) for update, version in session.exec(rows)]

    def made_apart(self) -> list[PolicyVersion]:
        """Versions that no update of the loop made, newest first: those of `livedpo train`."""
        made = select(Update.version_id).where(col(Update.version_id).is_not(None))
        rows = (
            select(PolicyVersion)
            .where(col(PolicyVersion.folder).is_not(None), col(PolicyVersion.id).not_in(made))
            .order_by(col(PolicyVersion.id).desc())
            .limit(SHOWN_UPDATES)
        )
        with self._database.read() as session:
            return list(session.exec(rows))

    def last_judge(self) -> str | None:
        """The judge that scored last."""
        scored = select(Verdict.judge).where(col(Verdict.score_a).is_not(None))
        with self._database.read() as session:
            return session.exec(scored.order_by(col(Verdict.id).desc()).limit(1)).first()

    def scores(self, judge: str, versions: Sequence[int]) -> dict[int, Estimate]:
        """The mean score that this judge gives each of these versions, where it gave any."""
        with self._database.read() as session:
            return scores(session, judge, col(Pair.version_id).in_(versions))


def _accepted(states: Sequence[UpdateState]) -> Estimate:
    return Estimate.share(states.count(UpdateState.PROMOTED), len(states), NONE_ENDED)


def _open_update(session: Session) -> dict[str, Any] | None:
    update = session.exec(select(Update).where(col(Update.finished_at).is_(None))).first()
    if update is None:
        return None
    return update.model_dump(include={"id", "state", "opened_at", "steps_done", "steps_total"})


def _processes(signs: Mapping[str, Sign], now: float) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "says": sign.says,
            "beats": role_of(name) in ROLES,
            "age_seconds": now - sign.at,
        }
        for name, sign in signs.items()
        if sign.at is not None
    ]


def _bucketed(session: Session, source: Source, start: float, bucket: float) -> dict[int, int]:
    passed = (col(Vote.created_at) - start) / bucket
    nearest = sa.cast(passed, sa.Integer)  # databases differ in whether this rounds or cuts off
    place = nearest - sa.case((nearest > passed, 1), else_=0)
    rows = (
        select(place, func.count())
        .where(
            col(Vote.source) == source,
            col(Vote.superseded_by).is_(None),
            col(Vote.choice) != Choice.SKIP,
            col(Vote.created_at) >= start,
        )
        .group_by(place)
    )
    found = dict(session.exec(rows).all())
    if source is Source.HUMAN:
        for at in labels_on_checks(session, col(Vote.created_at) >= start):
            found[int((at - start) / bucket)] -= 1
    return {place: count for place, count in found.items() if count}


def _timed(session: Session, start: float, bucket: float) -> list[tuple[int, float]]:
    rows = (
        select(Vote.created_at, Vote.seconds)
        .where(
            col(Vote.source) == Source.HUMAN,
            col(Vote.superseded_by).is_(None),
            col(Vote.created_at) >= start,
            col(Vote.seconds).is_not(None),
        )
        .order_by(col(Vote.created_at).desc())
        .limit(MAX_TIMED_VOTES)
    )
    return [(int((at - start) / bucket), float(seconds or 0)) for at, seconds in session.exec(rows)]
