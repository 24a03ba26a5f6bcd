"""What the page tells of the judge: worked out now and then, not for each page that asks.

The report takes tens of milliseconds and every page asks for the state once a second. And it must
not tell a rater what the judge said of the pair that they have just voted on, or undo would turn
the votes that measure the judge into its own. So the figures that set it beside people follow in
steps of several pairs.
"""

import time
from collections.abc import Callable
from typing import Any

from labeler.config.settings import Settings
from labeler.domain.judge_report import JudgeReport
from labeler.domain.sentences import judge
from labeler.domain.sentences.judge import LEARNED, Chosen
from labeler.stats.judge_quality import measure
from labeler.store import Store
from labeler.web.kept import Kept

LOOK_SECONDS = 10.0
STEP_PAIRS = 5
MANY_PAIRS = 200  # from here on one pair moves no share by more than half a point
TOO_FEW = f"fewer than {STEP_PAIRS} pairs have been rated by both so far"


class JudgeView:
    """The last report, shared by all pages of this process."""

    def __init__(
        self, settings: Settings, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._chosen = Chosen(settings.judge, settings.judge_after) if settings.judge else None
        self._kept = Kept[dict[str, Any] | None](LOOK_SECONDS, clock=clock)
        self._mark: tuple[Any, ...] | None = None
        self._report: dict[str, Any] | None = None
        self._figures = _no_figures()

    def page(self, says: str = "") -> dict[str, Any]:
        """For the page's state: `judge`, what is said of it; None where there is none.

        `says`: what a judge that learns last said of itself.
        """
        chosen, report = self._chosen, self.report()
        if chosen and report and report["judge"] != chosen.spec:
            report = None  # it is of an earlier judge
        known = JudgeReport.from_json(report) if report else None
        spec = chosen.spec if chosen else known.judge if known else ""
        if not spec:
            return {"judge": None}
        return {
            "judge": {
                "name": judge.name(spec),
                "lines": judge.lines(chosen, known, says if spec == LEARNED else ""),
                **(figures_of(known) if known else {"figures": [], "bins": []}),
            }
        }

    def report(self) -> dict[str, Any] | None:
        """The last report; None if no judge has spoken."""
        return self._kept.get(self._look)

    def _look(self) -> dict[str, Any] | None:
        """The report, worked out anew if something has changed."""
        mark = self._store.reports.judge_mark()
        if mark != self._mark:
            report = self._store.reports.judge()
            self._report = self._in_steps(report) if report else None
            self._mark = mark
        return self._report

    def _in_steps(self, report: dict[str, Any]) -> dict[str, Any]:
        """The report with its figures beside people, or the last ones if these are too close."""
        if self._report is None or self._report["judge"] != report["judge"]:
            self._figures = _no_figures()
        step = abs(report["pairs"] - self._figures["pairs"])
        if step >= STEP_PAIRS or report["pairs"] >= MANY_PAIRS:
            self._figures = {name: report[name] for name in self._figures}
        return {**report, **self._figures}


def figures_of(report: JudgeReport) -> dict[str, Any]:
    """What is drawn of a judge, with its words."""
    figures = judge.rows(vars(report))[1:]  # the first one is among the lines
    return {
        "figures": [*((row.name, row.text) for row in figures), *judge.counts(report)],
        "bins": [vars(each) for each in report.bins],
        "calibration": judge.calibration(report.bins),
    }


def _no_figures() -> dict[str, Any]:
    """Those of no pair at all."""
    return {
        name: {**figure, "why": TOO_FEW} if isinstance(figure, dict) else figure
        for name, figure in measure(()).as_dict().items()
    }
