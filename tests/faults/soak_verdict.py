"""Whether a figure of a soak drifts, and a plot of all. Pure: rows in, sentences and a picture out.

A figure drifts if both hold in the last hour, or in the second half of a shorter soak:

- it rises or falls by more than chance: Mann and Kendall's test, p < 0.01 over all figures
  together (Bonferroni), within each life of the process so that a restart is no drift;
- it matters: the median of the slopes between all pairs of looks (Theil and Sen), again within a
  life, comes to over a tenth of the figure's median in an hour.

The first minutes of a life are left out: a process that warms up drifts by design, and the worker
is not warm before its largest update. So are looks within some minutes of a kill for what people
wait for. The database grows with every vote, so its
figure is what a vote adds to it, and that of the logs what an hour adds.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from textwrap import fill

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from tests.faults.soak_looks import PROCESSES, Row

WINDOW_MINUTES = 60.0
WARM_UP_MINUTES = 10.0
AFTER_KILL_MINUTES = 2.0
MIN_LOOKS = 8
MAX_BY_CHANCE = 0.01
MAX_HOURLY = 0.1

Events = Mapping[str, Sequence[float]]  # the minutes at which it happened, by what it was
Point = tuple[float, float, float]  # the life that it belongs to, minute, value


@dataclass(frozen=True)
class Trend:
    """A figure's median, its change in an hour as a share of that, and how likely by chance."""

    name: str
    median: float
    hourly: float
    by_chance: float
    looks: int

    def drifts(self, figures: int) -> bool:
        """Whether this is a drift, where so many figures were looked at."""
        return self.by_chance < MAX_BY_CHANCE / figures and abs(self.hourly) > MAX_HOURLY

    def told(self, figures: int) -> str:
        """A line of a Markdown table."""
        verdict = "**drifts**" if self.drifts(figures) else "steady"
        return (
            f"| {self.name} | {self.median:.4g} | {100 * self.hourly:+.1f} % "
            f"| {self.by_chance:.2g} | {self.looks} | {verdict} |"
        )


def trend(name: str, points: Sequence[Point]) -> Trend | None:
    """What these points come to; None if they are too few to tell."""
    points = [point for point in points if not math.isnan(point[2])]
    if len(points) < MIN_LOOKS:
        return None
    lives: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for life, minute, value in points:
        lives[life].append((minute, value))
    slopes, signs, variance = [], 0, 0.0
    for life_points in lives.values():
        for (early, low), (late, high) in combinations(life_points, 2):
            slopes.append((high - low) / (late - early))
            signs += (high > low) - (high < low)
        n = len(life_points)
        variance += n * (n - 1) * (2 * n + 5) / 18
    if not slopes:
        return None
    median = statistics.median(value for _, _, value in points)
    hourly = 60 * statistics.median(slopes) / abs(median) if median else 0.0
    z = max(0, abs(signs) - 1) / math.sqrt(variance)
    return Trend(name, median, hourly, float(2 * norm.sf(z)), len(points))


def trends(rows: Sequence[Row]) -> list[Trend]:
    """The figures of the last hour, or of the second half of a shorter soak."""
    end = rows[-1]["minute"]
    begin = max(end - WINDOW_MINUTES, min(end / 2, WINDOW_MINUTES))
    late = [row for row in rows if row["minute"] >= begin]
    of_processes = [
        trend(f"{name} {what}", _of_process(rows, begin, name, what))
        for name in PROCESSES
        for what in ("MB", "threads", "handles")
    ]
    calm = [row for row in late if _minutes_since_kill(rows, row) > AFTER_KILL_MINUTES]
    of_people = [
        trend(name, [(0, row["minute"], row[name]) for row in calm])
        for name in ("vote p95 ms", "vote to version s")
    ]
    of_files = [
        trend("WAL kB", [(0, row["minute"], row["WAL kB"]) for row in late]),
        trend("database kB a vote", _growth(late, "database kB", "votes")),
        trend("log kB an hour", _growth(late, "log kB", "minute", per=60)),
    ]
    return [found for found in (*of_processes, *of_people, *of_files) if found is not None]


def _of_process(rows: Sequence[Row], begin: float, name: str, what: str) -> list[Point]:
    """The warm minutes of each life of a process, from `begin` on."""
    born: dict[float, float] = {}
    for row in rows:
        born.setdefault(row[f"{name} since"], row["minute"])
    return [
        (life, row["minute"], row[f"{name} {what}"])
        for row in rows
        if row["minute"] >= begin
        and row["minute"] - born[life := row[f"{name} since"]] >= WARM_UP_MINUTES
    ]


def _minutes_since_kill(rows: Sequence[Row], row: Row) -> float:
    kills = [b["minute"] for a, b in pairwise(rows) if b["restarts"] > a["restarts"]]
    before = [minute for minute in kills if minute <= row["minute"] + 1]
    return row["minute"] - max(before, default=-math.inf)


def _growth(rows: Sequence[Row], what: str, by: str, per: float = 1.0) -> list[Point]:
    """What each step of `by` adds, from look to look."""
    return [
        (0, b["minute"], per * (b[what] - a[what]) / (b[by] - a[by]))
        for a, b in pairwise(rows)
        if b[by] > a[by] and b[what] >= a[what]  # a log that was begun anew is smaller
    ]


def table(found: Sequence[Trend]) -> str:
    """Markdown."""
    head = [
        "| figure | median | in an hour | by chance | looks | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    return "\n".join([*head, *(each.told(len(found)) for each in found)])


PANELS: Mapping[str, tuple[str, Sequence[str]]] = {
    "Memory": ("MB", [f"{name} MB" for name in PROCESSES]),
    "Threads": ("", [f"{name} threads" for name in PROCESSES]),
    "Open handles": ("", [f"{name} handles" for name in PROCESSES]),
    "Database": ("kB", ["database kB"]),
    "WAL": ("kB", ["WAL kB"]),
    "Logs": ("kB", ["log kB"]),
    "A vote, 95th percentile": ("ms", ["vote p95 ms"]),
    "From the last needed vote to the version": ("s", ["vote to version s"]),
}
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")  # Okabe and Ito 2008


def plot(rows: Sequence[Row], events: Events, title: str, file: Path) -> None:
    """A panel a figure over the minutes; `events` are upright lines, by what happened."""
    with matplotlib.rc_context({"font.size": 8.5, "axes.titlelocation": "left"}):
        figure = Figure(figsize=(12, 9), layout="constrained")
        panels = figure.subplots(3, 3, sharex=True).flat
        for axes, (name, (unit, figures)) in zip(panels, PANELS.items(), strict=False):
            _panel(axes, rows, events, figures)
            axes.set_title(name)
            axes.set_ylabel(unit)
            axes.set_ylim(bottom=0)
        _legend(panels[-1], events)
        for axes in figure.axes[-3:]:
            axes.set_xlabel("minute")
        figure.suptitle(fill(title, 150), x=0.01, ha="left", fontsize=10)
        figure.savefig(file, dpi=110)


def _panel(axes: Axes, rows: Sequence[Row], events: Events, figures: Sequence[str]) -> None:
    for name, colour in zip(figures, COLOURS, strict=False):
        minutes = [row["minute"] for row in rows if not math.isnan(row[name])]
        values = [row[name] for row in rows if not math.isnan(row[name])]
        axes.plot(minutes, values, color=colour, linewidth=1.2, marker=".", markersize=3)
    for kind, at in events.items():
        for minute in at:
            axes.axvline(minute, **_line(kind))


def _line(kind: str) -> dict[str, str]:
    is_rollback = kind == "rollback"
    return {
        "color": "#D55E00" if is_rollback else "#999999",
        "linestyle": "--" if is_rollback else ":",
    }


def _legend(axes: Axes, events: Events) -> None:
    axes.axis("off")
    for name, colour in zip(PROCESSES, COLOURS, strict=True):
        axes.plot([], [], color=colour, label=name)
    for kind in events:
        axes.plot([], [], label=kind, **_line(kind))
    axes.legend(loc="upper left", frameon=False, fontsize=10)
