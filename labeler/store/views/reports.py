"""Read-only views over the whole store, such as the counts for `status`."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from labeler.domain.alarms import alarms
from labeler.domain.health import Disk
from labeler.domain.judge_report import JudgeReport
from labeler.domain.labels import NO_TIES, VoteRules, trainable
from labeler.domain.rules import DueRules
from labeler.domain.standstill import Standstill
from labeler.domain.states import PairState, RaterRole, Source, UpdateState
from labeler.store.database import Database
from labeler.store.learning.follow_ups import unseen
from labeler.store.learning.judge_report import ROLE as JUDGE_ROLE
from labeler.store.learning.judge_report import judge_labels, judge_report
from labeler.store.learning.label_selection import cast_votes, fresh_votes
from labeler.store.live_version import ages, live_id
from labeler.store.rating.asks import open_asks
from labeler.store.rating.checks import free_slots, outstanding, standing_votes
from labeler.store.rating.pairs import count_ready
from labeler.store.records import EndedUpdate, LoopState
from labeler.store.tables import (
    ImportedPair,
    PolicyVersion,
    ProcessState,
    Prompt,
    Rater,
    Service,
    Update,
    Verdict,
    Vote,
)
from labeler.store.views.changes import labels_by_rater
from labeler.store.views.counts import (
    count,
    held_pairs,
    labels_by_source,
    labels_to_update,
    pairs_by_state,
    written_at,
)
from labeler.store.views.exported import VoteRow, vote_rows
from labeler.store.views.filled import fill_report
from labeler.store.views.health import facts
from labeler.store.views.run_facts import RunFacts, run_facts
from labeler.store.views.standstill import standstill


@dataclass(frozen=True)
class VersionRow:
    """A version, and why the gate kept it back if an update of the loop made it and it did."""

    version: PolicyVersion
    reason: str | None


@dataclass(frozen=True)
class Contents:
    """What a database holds: its policy and live version, if there is one; how many votes, undone
    ones too; and when it was last written, in seconds since 1970.
    """

    base: str | None
    live: int | None
    votes: int
    written_at: float | None


class Reports:
    """The read-only verbs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def status(self, *, max_staleness: int, votes: VoteRules = NO_TIES) -> dict[str, Any]:
        """Counts and state of the loop, as `livedpo status --json` prints them besides alarms."""
        with self._database.read() as session:
            service = session.get(Service, 1)
            return {
                "pairs": _pairs(session),
                "labels": _labels(session, votes, max_staleness),
                "policy": {
                    "live": live_id(session),
                    "base": service.base if service else None,
                    "versions": count(session, PolicyVersion),
                },
                "drawing": service.drawing if service else None,
                "updates": _updates(session),
                "raters": count(session, Rater, col(Rater.role) != RaterRole.JUDGE),
                "prompts": {
                    "usable": count(
                        session,
                        Prompt,
                        col(Prompt.pooled).is_(True),
                        col(Prompt.set_aside).is_(None),
                    ),
                    "set_aside": count(session, Prompt, col(Prompt.set_aside).is_not(None)),
                },
                "judge": report.to_json() if (report := judge_report(session)) else None,
                "fill": fill_report(session),
                "imported": {"pairs": count(session, ImportedPair)},
                "written": written_at(session),
            }

    def labels_at(self, moment: float) -> dict[str, float]:
        """How many of the labels that stand now were there by then, of people and of judges."""
        with self._database.read() as session:
            found = labels_by_source(session, col(Vote.created_at) <= moment)
        return {f"votes_{source.value}": float(number) for source, (number, _) in found.items()}

    def contents(self) -> Contents:
        """What there is, in a few figures."""
        with self._database.read() as session:
            service = session.get(Service, 1)
            return Contents(
                base=service.base if service else None,
                live=live_id(session),
                votes=count(session, Vote),
                written_at=written_at(session),
            )

    def drawing(self) -> dict[str, Any] | None:
        """How replies are drawn, as the worker said last; None before it has."""
        with self._database.read() as session:
            service = session.get(Service, 1)
            return service.drawing if service else None

    def alarms(self, *, now: float, disk: Disk | None) -> list[str]:
        """What those who run the service should look at; `disk` is that of the data dir."""
        with self._database.read() as session:
            return alarms(facts(session), now=now, disk=disk)

    def shown_to_all(
        self, rules: DueRules, *, now: float, disk: Disk | None = None
    ) -> dict[str, Any]:
        """What everybody sees of the loop beside the pair; it takes most of the time."""
        with self._database.read() as session:
            beats = func.coalesce(ProcessState.beat_at, 0.0)
            processes = list(session.exec(select(ProcessState).order_by(beats)))
            return {
                "live": live_id(session),
                "counting": _counting(session, rules),
                "fresh": _progress_shown(session, rules),
                "ready": max(0, free_slots(session) - outstanding(session)),
                "update": _update_view(session),
                "result": _result_view(session, rules),
                "processes": {each.name: each.says for each in processes},
                "alarms": alarms(facts(session), now=now, disk=disk),
            }

    def standstill(self, rules: DueRules, *, now: float) -> Standstill | None:
        """Why no update comes; None while one is open."""
        with self._database.read() as session:
            return standstill(session, rules, now=now)

    def page_of(
        self,
        rater_id: int,
        shown: dict[str, Any],
        rules: DueRules,
        *,
        looked_at: float,
    ) -> dict[str, Any]:
        """What was `shown_to_all` at that time, with what concerns this rater by now."""
        standing = (col(Vote.rater_id) == rater_id, col(Vote.superseded_by).is_(None))
        lease = col(Vote.lease_id)  # None of an edit's vote, which came with another one
        teaches = col(Vote.choice).in_(trainable(rules.votes))
        later = teaches & lease.is_not(None) & (col(Vote.created_at) > looked_at)
        fresh, result = shown["fresh"], shown["result"]
        counts = [sa.func.count(lease), *(sa.func.count(sa.case((w, 1))) for w in (teaches, later))]
        with self._database.read() as session:
            votes, labels, since = session.execute(sa.select(*counts).where(*standing)).one()
            return shown | {
                "fresh": max(fresh, min(fresh + since, rules.labels_per_update - 1)),
                "votes": votes,
                "labels": labels,
                "asks": open_asks(session, rater_id),
                "follow_up": unseen(session, rater_id),
                "result": result and result | {"my_labels": result["labels"].get(rater_id, 0)},
            }

    def judge(self) -> JudgeReport | None:
        """What is known of the judge that spoke last, if one ever has; takes tens of ms."""
        with self._database.read() as session:
            return judge_report(session)

    def judge_mark(self) -> tuple[Any, ...]:
        """Changes whenever what `judge` tells may have changed, and is quickly had."""
        with self._database.read() as session:
            judge = session.get(ProcessState, JUDGE_ROLE)
            return (
                session.exec(select(func.max(Verdict.id))).one(),
                count(session, Vote),
                count(session, Vote, col(Vote.superseded_by).is_not(None)),
                (judge.says, judge.alarm) if judge else None,
            )

    def loop(self, rules: DueRules, *, ended: int, since: float) -> LoopState:
        """Where the loop is, with the last `ended` updates that opened after `since`."""
        with self._database.read() as session:
            newest = select(Update).order_by(col(Update.id).desc()).limit(ended + 1)
            updates = list(session.exec(newest.where(col(Update.opened_at) >= since)))
            last_opened = updates[0].opened_at if updates else since
            still_open = [update for update in updates if update.finished_at is None]
            processes = {each.name: each for each in session.exec(select(ProcessState))}
            missing = rules.labels_per_update - labels_to_update(session, rules)
            return LoopState(
                labels=judge_labels(session),
                labels_since=judge_labels(session, since=last_opened),
                labels_missing=max(0, missing),
                updates=count(session, Update, col(Update.state) == UpdateState.PROMOTED),
                live=live_id(session),
                is_updating=bool(still_open),
                steps_done=still_open[0].steps_done if still_open else 0,
                ended=[_ended(update) for update in updates if update.finished_at][:ended],
                says=processes["worker"].says if "worker" in processes else "",
                heard_at=(processes["worker"].beat_at or 0.0) if "worker" in processes else 0.0,
                alarms=[each.alarm for each in processes.values() if each.alarm],
            )

    def run_facts(self, *, reason: str, alarmed: bool, policy: str, options: str) -> RunFacts:
        """What is told of the unattended run that has just ended."""
        with self._database.read() as session:
            return run_facts(
                session, reason=reason, alarmed=alarmed, policy=policy, options=options
            )

    def versions(self) -> list[VersionRow]:
        """Every version, oldest first."""
        rows = (
            select(PolicyVersion, Update.reason)
            .join(Update, col(Update.version_id) == col(PolicyVersion.id), isouter=True)
            .order_by(col(PolicyVersion.id))
        )
        with self._database.read() as session:
            return [VersionRow(version, reason) for version, reason in session.exec(rows)]

    def votes(self, *, source: Source | None = None) -> list[VoteRow]:
        """Every vote, oldest first, undone ones too; of one source if given."""
        with self._database.read() as session:
            return list(vote_rows(session, source=source))


def _pairs(session: Session) -> dict[str, int]:
    states = pairs_by_state(session)
    return {
        "ready": count_ready(session),
        "leased": held_pairs(session),
        "labelled": states.get(PairState.LABELLED, 0),
        "expired": states.get(PairState.EXPIRED, 0),
    }


def _labels(session: Session, votes: VoteRules, max_staleness: int) -> dict[str, int]:
    labels = labels_by_source(session)
    return {
        "human": labels[Source.HUMAN][0],
        "judge": labels[Source.JUDGE][0],
        "fresh": len(fresh_votes(session, votes, max_staleness)),
        "used": sum(used for _, used in labels.values()),
    }


def _updates(session: Session) -> dict[str, int]:
    rows = select(Update.state, func.count()).group_by(col(Update.state))
    states = dict(session.exec(rows).all())
    done, rejected, failed = (
        states.pop(state, 0)
        for state in (UpdateState.PROMOTED, UpdateState.REJECTED, UpdateState.FAILED)
    )
    return {"done": done, "rejected": rejected, "failed": failed, "running": sum(states.values())}


def _progress_shown(session: Session, rules: DueRules) -> int:
    """Progress as raters see it: it moves with every vote that an ordinary pair would learn from.

    So votes on checks count, and those on pairs that wait for further raters: otherwise the bar
    would tell the checks. But it never says that an update is due before one is: it stops one
    short, and an ordinary vote that comes then does not move it either.
    """
    cast = cast_votes(session, rules.votes, rules.max_staleness)
    complete = [vote for vote in cast if vote.is_complete]
    due, seen = len(complete), len(cast)
    if rules.mode == "iterative":
        live = live_id(session)
        due = len({vote.pair_id for vote in complete if vote.version_id == live})
        seen = len({vote.pair_id for vote in cast if vote.version_id == live})
    seen += standing_votes(session, rules.votes)
    return max(due, min(seen, rules.labels_per_update - 1))


def _counting(session: Session, rules: DueRules) -> list[int]:
    """The versions on whose pairs a vote counts, the newest first; in rounds the live one."""
    found = ages(session, rules.max_staleness if rules.mode == "streaming" else 0)
    return sorted(found, key=found.__getitem__)


def _ended(update: Update) -> EndedUpdate:
    assert update.id is not None
    return EndedUpdate(update.id, update.state, update.reason, update.finding)


def _update_view(session: Session) -> dict[str, Any] | None:
    """The newest update, open or ended."""
    newest = select(Update).order_by(col(Update.id).desc()).limit(1)
    update = session.exec(newest).first()
    return _view(update) if update else None


def _result_view(session: Session, rules: DueRules) -> dict[str, Any] | None:
    """The last update that ended; `labels` are those of each rater."""
    ended = select(Update).where(col(Update.finished_at).is_not(None))
    update = session.exec(ended.order_by(col(Update.id).desc()).limit(1)).first()
    if update is None:
        return None
    version = session.get(PolicyVersion, update.version_id) if update.version_id else None
    assert update.id is not None
    return _view(update) | {
        "labels": labels_by_rater(session, update.id, rules.votes),
        "parent": version.parent_id if version else None,
        "finding": update.finding.figures(),
    }


def _view(update: Update) -> dict[str, Any]:
    fields = {"id", "state", "steps_done", "steps_total", "version_id", "reason"}
    return update.model_dump(include=fields) | {"runs": update.finished_at is None}
