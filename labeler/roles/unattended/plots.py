"""The plots of a run: four panels over its versions. Importing this loads matplotlib."""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from labeler.roles.unattended.headline import headline, log_odds
from labeler.store.views.run_facts import RunFacts, VersionFacts

# Colours that stay apart for colour-blind eyes (Okabe and Ito 2008); form and line differ as well.
BLUE, ORANGE, RED, GREY = "#0072B2", "#E69F00", "#D55E00", "#666666"
REJECTED = "X"
LOOK: Any = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


def as_png(facts: RunFacts) -> bytes:
    """Score, length, KL, and what the gate let pass. Needs no display and keeps no state."""
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(10, 6.6), layout="constrained")
        (score, length), (kl, gate) = figure.subplots(2, 2, sharex=True)
        _score(score, facts.versions)
        _length(length, facts.versions)
        _kl(kl, facts.versions)
        _gate(gate, facts.versions)
        _frame(score, [version.number for version in facts.versions])
        for axes in (kl, gate):
            axes.set_xlabel("version")
        figure.suptitle(headline(facts), x=0.01, ha="left", fontsize=11)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=130)
    return picture.getvalue()


def _score(axes: Axes, versions: Sequence[VersionFacts]) -> None:
    if any(version.score is not None for version in versions):
        _series(axes, versions, [version.score for version in versions])
        axes.set_title("Score")
        axes.set_ylabel("judge's mean score")
        return
    known = any(version.finding.win_rate.value is not None for version in versions)
    _series(axes, versions, list(log_odds(versions)) if known else [])
    axes.set_title("Score, from wins over the version before")
    axes.set_ylabel("log-odds, summed (nats)")


def _length(axes: Axes, versions: Sequence[VersionFacts]) -> None:
    _series(axes, versions, [version.finding.candidate.tokens for version in versions])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.set_title("Length")
    axes.set_ylabel("mean length (tokens)")


def _kl(axes: Axes, versions: Sequence[VersionFacts]) -> None:
    reference = [version.finding.kl_reference for version in versions]
    _series(axes, versions, reference, label="from the reference")
    live = [version.finding.kl_live for version in versions]
    _series(axes, versions, live, label="from the live version", colour=ORANGE, form="s", line="--")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.set_title("KL")
    axes.set_ylabel("KL (nats a token)")
    _legend(axes)


def _gate(axes: Axes, versions: Sequence[VersionFacts]) -> None:
    """Win rates with intervals; a version without one stands at the foot."""
    kinds = (("promoted", "accepted", BLUE, "o"), ("rejected", "rejected", RED, REJECTED))
    for state, label, colour, form in kinds:
        some = [version for version in versions if version.state == state]
        won = [version.finding.win_rate for version in some]
        if not some:
            continue
        axes.errorbar(
            [version.number for version in some],
            [one.value or 0.0 for one in won],
            yerr=[
                [max(0.0, (one.value or 0.0) - (one.low or 0.0)) for one in won],
                [max(0.0, (one.high or 0.0) - (one.value or 0.0)) for one in won],
            ],
            fmt=form,
            color=colour,
            ecolor=colour + "70",
            elinewidth=_size(versions) / 3,
            markersize=_size(versions) + 1,
            clip_on=False,
            zorder=3,
            label=f"{label} ({len(some)})",
        )
    axes.axhline(0.5, color=GREY, linewidth=1, linestyle=":")
    axes.set_ylim(0, 1)
    axes.set_title("Acceptance")
    axes.set_ylabel("win rate over the version before, 95 %")
    _legend(axes)


def _series(
    axes: Axes,
    versions: Sequence[VersionFacts],
    values: Sequence[float | None],
    *,
    label: str | None = None,
    colour: str = BLUE,
    form: str = "o",
    line: str = "-",
) -> None:
    """A line through the versions that were accepted, and a cross for each rejected one.

    The crosses are red, but of the line's colour where there is a second line.
    """
    points = [
        (version.number, value, version.state == "rejected")
        for version, value in zip(versions, values, strict=False)
        if value is not None and math.isfinite(value)
    ]
    if not points:
        axes.text(0.5, 0.4, "not measured", transform=axes.transAxes, ha="center", color=GREY)
        return
    axes.plot(
        [number for number, _, rejected in points if not rejected],
        [value for _, value, rejected in points if not rejected],
        marker=form,
        linestyle=line,
        color=colour,
        linewidth=1.4,
        markersize=_size(versions),
        label=label,
    )
    axes.plot(
        [number for number, _, rejected in points if rejected],
        [value for _, value, rejected in points if rejected],
        marker=REJECTED,
        linestyle="",
        color=RED if label is None else colour,
        markersize=_size(versions) + 1,
    )


def _legend(axes: Axes) -> None:
    """Beside the title, where it hides nothing."""
    if axes.get_legend_handles_labels()[0]:
        above = (1.0, 1.0)
        legend = axes.legend(loc="lower right", bbox_to_anchor=above, ncols=2, borderaxespad=0.3)
        legend.set_in_layout(False)


def _size(versions: Sequence[VersionFacts]) -> float:
    """Marks (points) that leave room between them."""
    return max(1.5, min(5.0, 150 / max(1, len(versions))))


def _frame(axes: Axes, numbers: Sequence[int]) -> None:
    first, last = (min(numbers), max(numbers)) if numbers else (0, 1)
    margin = max(0.5, 0.03 * (last - first))
    axes.set_xlim(first - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
