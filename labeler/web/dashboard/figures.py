"""The dashboard's figures as JSON, each part worked out now and then and kept for all who look.

What counts this moment is kept for a second. Other parts are kept as long as it takes that none is
busy for more than a hundredth of the time: with few labels all is live, and with very many no part
takes much of a core.
"""

from collections import deque
from collections.abc import Callable, Mapping
from statistics import quantiles
from typing import Any

from labeler.config.settings import Settings
from labeler.domain.drawing import Drawing
from labeler.domain.estimate import Estimate
from labeler.domain.finding import Finding
from labeler.domain.sentences import judge
from labeler.domain.sentences import update as sentences
from labeler.domain.sentences.policy import drawn_at
from labeler.roles.disk import disk_of
from labeler.store import Store
from labeler.store.tables import PolicyVersion, Update
from labeler.store.views.dashboard import Series
from labeler.web.kept import Kept

NOW_SECONDS = 1.0
MAX_SECONDS = 15.0
BUSY_SHARE = 0.01
MAX_KEPT = 100  # ranges of time in many time zones
READY_POINTS = 900
OFFSET_STEP = 900.0
RANGES: Mapping[str, tuple[float, float]] = {
    "hour": (3600.0, 60.0),
    "day": (86_400.0, 1800.0),
    "week": (7 * 86_400.0, 6 * 3600.0),
    "month": (30 * 86_400.0, 86_400.0),
}
ALL = "all"
MAX_BUCKETS = 60
BUCKETS = (60.0, 300.0, 1800.0, 3600.0, 6 * 3600.0, 86_400.0, 7 * 86_400.0, 28 * 86_400.0)
# The last versions still get verdicts; the mean score of older ones is known for good.
MOVING_VERSIONS = 3


class Figures:
    """The figures of one service, shared by all requests of this process."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._kept: dict[Any, Kept[Any]] = {}
        self._ready: deque[tuple[float, int]] = deque(maxlen=READY_POINTS)
        self._scores: dict[int, Estimate] = {}
        self._scored_by: str | None = None

    def get(self, range_name: str, offset: float, *, now: float) -> dict[str, Any]:
        """All figures. `offset` is how many seconds local time is ahead of UTC, for the days.

        It counts in quarters of an hour, as time zones do.
        """
        offset = OFFSET_STEP * round(offset / OFFSET_STEP)
        current = self._once("now", lambda: self._now(now), most=NOW_SECONDS)
        totals = self._once("totals", self._store.dashboard.totals)
        return {
            **current,
            "tiles": {**current["tiles"], **vars(totals)},
            **self._once("versions", self._versions),
            "judge": self._once("judge", self._judge),
            "judge_set": self._settings.judge,
            "range": range_name,
            "series": self._series(range_name, offset, now),
        }

    def forget(self) -> None:
        """Look at everything again: somebody has just changed something."""
        for kept in list(self._kept.values()):
            kept.forget()

    def _once(self, key: Any, make: Callable[[], Any], *, most: float = MAX_SECONDS) -> Any:
        """What was made under this key, or made anew if that is to be; kept `most` seconds."""
        if key not in self._kept and len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        return self._kept.setdefault(key, Kept(most, busy_share=BUSY_SHARE)).get(make)

    def _now(self, now: float) -> dict[str, Any]:
        disk = disk_of(self._settings.data_dir)
        found = self._store.dashboard.now(self._settings.due_rules, now=now, disk=disk)
        self._ready.append((now, found.ready))
        tiles = {**vars(found), "accepted": found.accepted.to_json()}
        return {
            "now": now,
            "alarms": tiles.pop("alarms"),
            "tiles": tiles,
            "drawing": found.drawing and drawn_at(Drawing.from_json(found.drawing)),
            "labels_per_update": self._settings.labels_per_update,
            "queue_pairs": self._settings.queue_pairs,
            "ready": list(self._ready),
        }

    def _versions(self) -> dict[str, Any]:
        versions = self._store.dashboard.versions()
        scores = self._latest_scores([version.id for version in versions])
        updates = [_update(update, made) for update, made in self._store.dashboard.updates()]
        apart = [_trained(version) for version in self._store.dashboard.made_apart()]
        history = sorted([*updates, *apart], key=lambda row: row["at"], reverse=True)
        return {
            "versions": [_point(version, scores.get(version.id)) for version in versions],
            "history": history,
        }

    def _latest_scores(self, versions: list[int]) -> dict[int, Estimate]:
        judge = self._store.dashboard.last_judge()
        if judge != self._scored_by:
            self._scores, self._scored_by = {}, judge
        if judge is None:
            return {}
        moving = versions[-MOVING_VERSIONS:]
        wanted = [number for number in versions if number in moving or number not in self._scores]
        self._scores |= self._store.dashboard.scores(judge, wanted)
        return self._scores

    def _judge(self) -> dict[str, Any] | None:
        report = self._store.reports.judge()
        if report is None:
            return None
        return {
            "lines": [judge.head(report), *([report.paused] if report.paused else [])],
            "figures": [
                {"name": row.name, "kind": row.kind, "text": row.text, **row.figure.to_json()}
                for row in judge.rows(report)
            ],
            "bins": [vars(each) for each in report.figures.bins],
            "calibration": judge.calibration(report.figures.bins),
        }

    def _series(self, range_name: str, offset: float, now: float) -> dict[str, Any]:
        start, bucket = self._span(range_name, offset, now)

        def made() -> dict[str, Any]:
            series = self._store.dashboard.series(start=start, bucket_seconds=bucket)
            return _series(series, buckets=int((now - start) // bucket) + 1)

        return dict(self._once(("series", range_name, offset), made))

    def _span(self, range_name: str, offset: float, now: float) -> tuple[float, float]:
        """Where a range starts, at a bucket's edge in local time, and how long its buckets are."""
        if range_name in RANGES:
            span, bucket = RANGES[range_name]
        else:
            oldest = self._once("oldest", self._store.dashboard.oldest_label)
            span = now - (oldest if oldest is not None else now)
            bucket = next((each for each in BUCKETS if span / each < MAX_BUCKETS), BUCKETS[-1])
        return ((now - span + offset) // bucket) * bucket - offset, bucket


def _series(series: Series, *, buckets: int) -> dict[str, Any]:
    """One value a bucket; where nobody voted, the times are None."""
    times: list[list[float]] = [[] for _ in range(buckets)]
    for number, seconds in series.seconds:
        if 0 <= number < buckets:
            times[number].append(seconds)
    return {
        "start": series.start,
        "bucket": series.bucket_seconds,
        "human": [series.human.get(number, 0) for number in range(buckets)],
        "judge": [series.judge.get(number, 0) for number in range(buckets)],
        "seconds": [_quartiles(found) for found in times],
    }


def _quartiles(seconds: list[float]) -> dict[str, Any] | None:
    """Median and quartiles of so many times; None of none."""
    if not seconds:
        return None
    low, middle, high = (
        quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 3
    )
    return {
        "value": round(middle, 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "count": len(seconds),
    }


def _point(version: PolicyVersion, score: Estimate | None) -> dict[str, Any]:
    """A version in the plots."""
    finding = version.finding
    return {
        "id": version.id,
        "state": version.state,
        "labels": finding.labels,
        "filled": finding.filled,
        "win_rate": finding.win_rate.to_json(),
        "score": score.to_json() if score else None,
        "kl_live": finding.kl_live,
        "kl_reference": finding.kl_reference,
        "tokens": finding.candidate.tokens,
    }


def _update(update: Update, version: PolicyVersion | None) -> dict[str, Any]:
    """An update of the loop, as a row of the history."""
    ended = update.finished_at
    return {
        "update": update.id,
        "at": update.opened_at,
        "seconds": ended - update.opened_at if ended is not None else None,
        "state": update.state,
        "steps": [update.steps_done, update.steps_total],
        "reason": update.reason,
        **_made(version, update.finding),
    }


def _trained(version: PolicyVersion) -> dict[str, Any]:
    """A version that `livedpo train` made, as a row of the history."""
    return {
        "update": None,
        "at": version.created_at,
        "seconds": version.finding.seconds,
        "state": "trained",
        "steps": [0, 0],
        "reason": version.finding.objection or None,
        **_made(version, version.finding),
    }


def _made(version: PolicyVersion | None, finding: Finding) -> dict[str, Any]:
    told = {
        "labels": finding.labels,
        "judged": finding.judged,
        "filled": finding.filled,
        "found": sentences.found(finding, version.parent_id if version else None),
    }
    if version is None:
        return {"version": None, **told}
    return {
        "version": {
            "id": version.id,
            "parent": version.parent_id,
            "state": version.state,
            "pruned": version.pruned_at is not None,
            "broken": version.finding.broken,
            "actions": [vars(action) for action in version.finding.actions],
        },
        **told,
    }
