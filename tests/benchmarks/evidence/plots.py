"""Two pictures: the arms over labels, and what each variant gains."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labeler.domain.estimate import Estimate
from labeler.roles.unattended.plots import LOOK
from tests.benchmarks.evidence import compare
from tests.benchmarks.evidence.findings import Ablation, Findings
from tests.benchmarks.evidence.intervals import excludes_zero
from tests.benchmarks.evidence.plan import TITLES, labels_of

# Okabe and Ito's colours; marks and lines differ as well.
STYLES = {
    "online": ("#0072B2", "o", "-"),
    "online_fill": ("#000000", "P", "-"),
    "reinforce": ("#F0E442", "*", "-"),
    "best_of": ("#999999", "h", ":"),
    "iterative": ("#56B4E9", "s", "--"),
    "offline": ("#D55E00", "^", "-"),
    "static": ("#E69F00", "v", "--"),
    "simpo": ("#009E73", "D", "-."),
    "rloo": ("#CC79A7", "X", ":"),
}
GREY = "#666666"
NEAR = 0.1  # nats; below it a distance is hardly more than its error


def curves(findings: Findings, path: Path) -> None:
    """Score, online's wins, KL and length over labels; score over KL; what it costs."""
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(12, 7), layout="constrained")
        (score, wins, frontier), (kl, length, cost) = figure.subplots(2, 3)
        _score(score, findings)
        _wins(wins, findings)
        _frontier(frontier, findings)
        _panel(kl, findings, "kl", "Distance from the start", "KL (nats an answer)")
        _length(length, findings)
        _panel(cost, findings, "seconds", "Cost", "seconds, one thread")
        kl.set_yscale("symlog", linthresh=NEAR)
        cost.set_yscale("log")
        for axes in (score, wins, kl, length, cost):
            _label_axis(axes, findings.scale.labels)
        handles, names = score.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4)
        figure.savefig(path, dpi=120)


def ablations(found: Sequence[Ablation], path: Path) -> None:
    """A line for each variant, in groups."""
    shown = [one for one in found if one.gain is not None]
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(8, 0.6 + 0.27 * len(shown)), layout="constrained")
        axes = figure.subplots()
        for place, one in enumerate(shown):
            assert one.gain is not None
            colour = "#0072B2" if excludes_zero(one.gain) else GREY
            axes.plot([one.gain.low, one.gain.high], [place, place], color=colour, linewidth=2)
            axes.plot(one.gain.value, place, marker="o", color=colour)
        axes.axvline(0, color=GREY, linewidth=1, linestyle=":")
        axes.set_yticks(range(len(shown)), [f"{one.group}: {one.variant}" for one in shown])
        axes.invert_yaxis()
        axes.set_xlabel("score gained over the usual run, 95 %")
        figure.savefig(path, dpi=120)


def _score(axes: Axes, findings: Findings) -> None:
    start = compare.mean(findings.scores("start", 0))
    axes.axhline(start.value, color=GREY, linewidth=1, linestyle=":")
    for arm in findings.arms:
        labels = labels_of(arm, findings.scale)
        found = [compare.mean(findings.scores(arm, n)) for n in labels]
        _line(axes, labels, found, arm)
    axes.set_title("Score on held-out prompts")
    axes.set_ylabel("mean score")


def _wins(axes: Axes, findings: Findings) -> None:
    axes.axhline(50, color=GREY, linewidth=1, linestyle=":")
    axes.set_title("Online DPO against each other arm")
    axes.set_ylabel("wins and half the ties (%)")
    axes.set_ylim(0, 100)
    if "online" not in findings.arms:
        return
    for arm in findings.arms:
        if arm != "online":
            labels = labels_of(arm, findings.scale)
            points = [findings.versus("online", arm, n).points for n in labels]
            found = [
                Estimate(100 * one.value, 100 * one.low, 100 * one.high, one.count)
                for one in points
            ]
            _line(axes, labels, found, arm)


def _frontier(axes: Axes, findings: Findings) -> None:
    for arm in findings.arms:
        colour, mark, line = STYLES[arm]
        labels = labels_of(arm, findings.scale)
        axes.plot(
            [findings.over_seeds(arm, n, "kl").value for n in labels],
            [compare.mean(findings.scores(arm, n)).value for n in labels],
            color=colour,
            marker=mark,
            linestyle=line,
        )
    axes.set_xscale("symlog", linthresh=NEAR)
    axes.set_title("Score at equal distance")
    axes.set_xlabel("KL (nats an answer)")
    axes.set_ylabel("mean score")


def _panel(axes: Axes, findings: Findings, name: str, title: str, unit: str) -> None:
    for arm in findings.arms:
        labels = labels_of(arm, findings.scale)
        _line(axes, labels, [findings.over_seeds(arm, n, name) for n in labels], arm)
    axes.set_title(title)
    axes.set_ylabel(unit)


def _length(axes: Axes, findings: Findings) -> None:
    start = findings.length("start", 0).value
    axes.axhline(start, color=GREY, linewidth=1, linestyle=":")
    for arm in findings.arms:
        labels = labels_of(arm, findings.scale)
        _line(axes, labels, [findings.length(arm, n) for n in labels], arm)
    axes.set_title("Length")
    axes.set_ylabel("tokens an answer")


def _percent(share: Estimate) -> Estimate:
    return Estimate(100 * share.value, 100 * share.low, 100 * share.high, share.count)


def _line(axes: Axes, labels: Sequence[int], found: Sequence[Estimate], arm: str) -> None:
    """Means with their intervals, each arm a little beside the others."""
    colour, mark, line = STYLES[arm]
    beside = 1.03 ** (list(STYLES).index(arm) - len(STYLES) / 2)
    low, high = (
        [abs(getattr(one, side) - one.value) if np.isfinite(one.low) else 0.0 for one in found]
        for side in ("low", "high")
    )
    axes.errorbar(
        [count * beside for count in labels],
        [one.value for one in found],
        yerr=[low, high],
        color=colour,
        marker=mark,
        linestyle=line,
        linewidth=1.4,
        elinewidth=0.9,
        markersize=5,
        label=TITLES[arm],
    )


def _label_axis(axes: Axes, labels: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(labels, [str(count) for count in labels])
    axes.minorticks_off()
    axes.set_xlabel("labels")
