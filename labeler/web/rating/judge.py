"""What the page tells of the judge: worked out now and then, not for each page that asks.

The report takes tens of milliseconds and every page asks for the state once a second. And it must
not tell a rater what the judge said of the pair that they have just voted on, or undo would turn
the votes that measure the judge into its own. So the figures that set it beside people follow in
steps of several pairs.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from labeler.config.settings import Settings
from labeler.domain.estimate import Estimate
from labeler.domain.judge_report import JudgeFigures, JudgeReport
from labeler.domain.sentences import judge
from labeler.domain.sentences.judge import LEARNED, Chosen
from labeler.store import Store
from labeler.web.kept import Kept

LOOK_SECONDS = 10.0
STEP_PAIRS = 5
MANY_PAIRS = 200  # from here on one pair moves no share by more than half a point
TOO_FEW = f"fewer than {STEP_PAIRS} pairs have been rated by both so far"
NONE = Estimate.none(TOO_FEW)
NO_FIGURES = JudgeFigures(
    pairs=0, agreement=NONE, agreement_with_ties=NONE, kappa=NONE, brier=NONE,
    calibration_error=NONE, bins=(), longer_judge=NONE, longer_people=NONE, longer_difference=NONE,
)  # fmt: skip


class JudgeView:
    """The last report, shared by all pages of this process."""

    def __init__(
        self, settings: Settings, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._chosen = Chosen(settings.judge, settings.judge_after) if settings.judge else None
        self._kept = Kept[JudgeReport | None](LOOK_SECONDS, clock=clock)
        self._mark: tuple[Any, ...] | None = None
        self._report: JudgeReport | None = None
        self._figures = NO_FIGURES

    def page(self, says: str = "") -> dict[str, Any]:
        """For the page's state: `judge`, what is said of it; None where there is none.

        `says`: what a judge that learns last said of itself.
        """
        chosen, report = self._chosen, self.report()
        if chosen and report and report.judge != chosen.spec:
            report = None  # it is of an earlier judge
        spec = chosen.spec if chosen else report.judge if report else ""
        if not spec:
            return {"judge": None}
        return {
            "judge": {
                "name": judge.name(spec),
                "lines": judge.lines(chosen, report, says if spec == LEARNED else ""),
                **(figures_of(report) if report else {"figures": [], "bins": []}),
            }
        }

    def report(self) -> JudgeReport | None:
        """The last report; None if no judge has spoken."""
        return self._kept.get(self._look)

    def _look(self) -> JudgeReport | None:
        """The report, worked out anew if something has changed."""
        mark = self._store.reports.judge_mark()
        if mark != self._mark:
            report = self._store.reports.judge()
            self._report = self._in_steps(report) if report else None
            self._mark = mark
        return self._report

    def _in_steps(self, report: JudgeReport) -> JudgeReport:
        """The report with its figures beside people, or the last ones if these are too close."""
        if self._report is None or self._report.judge != report.judge:
            self._figures = NO_FIGURES
        pairs = report.figures.pairs
        if abs(pairs - self._figures.pairs) >= STEP_PAIRS or pairs >= MANY_PAIRS:
            self._figures = report.figures
        return replace(report, figures=self._figures)


def figures_of(report: JudgeReport) -> dict[str, Any]:
    """What is drawn of a judge, with its words."""
    figures = judge.rows(report)[1:]  # the first one is among the lines
    return {
        "figures": [*((row.name, row.text) for row in figures), *judge.counts(report)],
        "bins": [vars(each) for each in report.figures.bins],
        "calibration": judge.calibration(report.figures.bins),
    }
