"""What the runs came to: a table, a picture, and answers to read.

Shares are pooled over seeds, with Wilson's interval. Means are of all answers, with an interval
over seeds and prompts (`tests.benchmarks.evidence.intervals`). How far a trait moved is paired by
prompt.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as student

from labeler.domain.estimate import Estimate
from labeler.roles.unattended.plots import BLUE, GREY, LOOK
from tests.benchmarks.evidence.intervals import over_seeds_and_prompts
from tests.benchmarks.follow.rating import Look
from tests.benchmarks.follow.results import Results
from tests.benchmarks.follow.tastes import TASTES, Taste

GOALS = {64: 0.25, 128: 0.40}  # votes: how far the trait is to have moved
MAX_KL = 1.0  # nats a token
MAX_RISE = 0.02  # of the shares of repeated sequences and of cut answers, before it is one
TEXT_CHARS = 700


def write(results: Results) -> Path:
    """The report in the folder of the runs; its path."""
    by_taste = {name: _looks(results, name) for name in TASTES}
    known = {name: looks for name, looks in by_taste.items() if looks}
    path = results.folder / "README.md"
    parts = [
        _opening(results),
        "![The trait of each taste, over votes](follow.png)",
        _table(known),
        *(_texts(TASTES[name], looks) for name, looks in known.items()),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    _picture(known, results.folder / "follow.png")
    return path


def trait(taste: Taste, looks: Sequence[Look]) -> Estimate:
    """The trait at one count of votes, over seeds."""
    values = [look.traits for look in looks]
    if taste.is_share:
        flat = [value for seed in values for value in seed]
        return Estimate.share(sum(flat), len(flat), "no answers")
    return over_seeds_and_prompts(values)


def moved(taste: Taste, first: Sequence[Look], looks: Sequence[Look]) -> Estimate:
    """How far the trait has come: points of share, or a part of the mean; in the wished sense.

    Paired by prompt. The interval is over prompts and seeds, or of one seed over its prompts alone.
    NaN if there was none of the trait at the start.
    """
    before, now = (np.array([look.traits for look in some]) for some in (first, looks))  # (S, P)
    size = 1.0 if taste.is_share else float(before.mean())
    if not size:
        return Estimate(math.nan, math.nan, math.nan, len(looks))
    way_SP = taste.sign * (now - before) / size
    if len(looks) > 1:
        return over_seeds_and_prompts(way_SP)
    [way] = way_SP
    half = float(student.ppf(0.975, len(way) - 1)) * float(way.std(ddof=1)) / math.sqrt(len(way))
    return Estimate(float(way.mean()), float(way.mean()) - half, float(way.mean()) + half, 1)


def _looks(results: Results, taste: str) -> list[list[Look]]:
    """For each count of votes, the looks of all seeds."""
    runs = [looks for run, looks in results.runs.items() if run.taste == taste]
    return [list(column) for column in zip(*runs, strict=True)]


def _opening(results: Results) -> str:
    plan = results.plan
    settings = ", ".join(f"`{name} = {value}`" for name, value in plan.settings.items())
    return (
        "# Does the policy follow?\n\n"
        "Made by `make follow`. A scripted rater votes by one simple taste, and says the opposite "
        f"in {plan.flips:.0%} of the votes. After each count of votes the live version answers "
        f"{plan.prompts} prompts that it has not learned on. Settings: {settings}; all others are "
        "the defaults. The runs are in `runs.jsonl`.\n\n"
        "The goal: the trait has moved by 25 points of share, or a quarter of its mean, after 64 "
        "votes, and by 40 after 128, at no more than 1 nat a token from the base, with no more "
        "repetition and no fewer finished answers (by two points of share)."
    )


def _table(known: dict[str, list[list[Look]]]) -> str:
    rows = [
        "| taste | votes | trait | moved | goal | KL, nats a token | words | cut | repeated |"
        " refused | seeds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, columns in known.items():
        for looks in columns:
            rows.append(_row(TASTES[name], columns[0], looks))
    return "\n".join(rows)


def _row(taste: Taste, first: Sequence[Look], looks: Sequence[Look]) -> str:
    votes, now = looks[0].votes, trait(taste, looks)
    way = moved(taste, first, looks)
    cells = [
        taste.title,
        str(votes),
        _figure(taste, now),
        f"{way.value:+.0%} [{way.low:+.0%}, {way.high:+.0%}]" if looks != first else "",
        _goal(GOALS[votes], way, first, looks) if votes in GOALS else "",
        f"{_mean(look.kl for look in looks):.2f}",
        f"{_mean(look.words for look in looks):.0f}",
        f"{_mean(look.unfinished for look in looks):.0%}",
        f"{_mean(look.repetition for look in looks):.0%}",
        str(sum(look.refused for look in looks)),
        str(len(looks)),
    ]
    return "| " + " | ".join(cells) + " |"


def _goal(goal: float, way: Estimate, first: Sequence[Look], looks: Sequence[Look]) -> str:
    """Whether a goal is met, or what is missed; it is not shown where the way may be chance."""
    assert way.value is not None
    assert way.low is not None
    before, now = (
        {name: _mean(vars(look)[name] for look in some) for name in ("repetition", "unfinished")}
        for some in (first, looks)
    )
    misses = {
        "trait": not way.value >= goal,
        "KL": _mean(look.kl for look in looks) > MAX_KL,
        "repetition": now["repetition"] > before["repetition"] + MAX_RISE,
        "cut": now["unfinished"] > before["unfinished"] + MAX_RISE,
    }
    missed = ", ".join(name for name, is_missed in misses.items() if is_missed)
    met = "met" if way.low > 0 else "not shown"
    return f"{goal:.0%}: " + (f"missed ({missed})" if missed else met)


def _figure(taste: Taste, found: Estimate) -> str:
    form = {"words": ".0f", "points": ".1f"}.get(taste.unit, ".0%")
    if found.low is None or not np.isfinite(found.low):
        return f"{found.value:{form}} {taste.unit}".strip()
    return f"{found:{form}} {taste.unit}".strip()


def _mean(values: object) -> float:
    return float(np.mean(list(values)))  # type: ignore[call-overload]


def _texts(taste: Taste, columns: list[list[Look]]) -> str:
    """The first answers of the first seed, before and after."""
    before, after = columns[0][0], columns[-1][0]
    lines = [f"## {taste.title}: before, and after {after.votes} votes"]
    for old, new in zip(before.texts, after.texts, strict=True):
        lines += ["", "Before:", "", _quoted(old), "", "After:", "", _quoted(new), "", "---"]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    shown = text if len(text) <= TEXT_CHARS else text[:TEXT_CHARS] + " …"
    return "\n".join(f"> {line}".rstrip() for line in shown.splitlines() or [""])


def _picture(known: dict[str, list[list[Look]]], path: Path) -> None:
    """A panel a taste, and the distance from the base."""
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(12, 6), layout="constrained")
        panels = figure.subplots(2, 3).flat
        for axes, (name, columns) in zip(panels, known.items(), strict=False):
            _trait_panel(axes, TASTES[name], columns)
        *unused, last = figure.axes[len(known) :]
        for axes in unused:
            axes.set_axis_off()
        for name, columns in known.items():
            votes = [looks[0].votes for looks in columns]
            values = [_mean(look.kl for look in looks) for looks in columns]
            last.plot(votes, values, marker="o", label=TASTES[name].title)
        last.set_title("Distance from the base")
        last.set_ylabel("KL (nats a token)")
        last.set_xlabel("votes")
        last.legend()
        figure.savefig(path, dpi=120)


def _trait_panel(axes: Axes, taste: Taste, columns: list[list[Look]]) -> None:
    votes = [looks[0].votes for looks in columns]
    found = [trait(taste, looks) for looks in columns]
    values = [float(one.value or 0) for one in found]
    for seed in range(len(columns[0])):
        each = [_mean(looks[seed].traits) for looks in columns]
        axes.plot(votes, each, color=GREY, linewidth=0.8)
    axes.plot(votes, values, color=BLUE, marker="o")
    if all(one.low is not None and np.isfinite(one.low) for one in found):
        lows, highs = ([float(getattr(one, side)) for one in found] for side in ("low", "high"))
        axes.fill_between(votes, lows, highs, color=BLUE, alpha=0.15)
    for count, goal in GOALS.items():
        size = 1 if taste.is_share else values[0]
        axes.plot(count, values[0] + taste.sign * goal * size, marker="*", color="#D55E00")
    axes.set_title(taste.title)
    axes.set_ylabel("share of answers" if taste.is_share else f"mean {taste.unit}")
    axes.set_xlabel("votes")
