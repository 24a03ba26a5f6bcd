"""All runs over one policy: which are missing, each in a process of its own, and the report."""

from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from labeler.config.starter import ROOT
from tests.benchmarks.evidence import plan, report
from tests.benchmarks.evidence.plan import ArmName, Run, Scale, Tuned
from tests.benchmarks.evidence.results import Results
from tests.benchmarks.evidence.task import calibrate, do
from tests.benchmarks.evidence.world import Place


class Campaign:
    """What is run on one policy, `jobs` runs at once."""

    def __init__(
        self,
        place: Place,
        scale: Scale,
        arms: Sequence[ArmName],
        results: Results,
        pool: ProcessPoolExecutor,
        jobs: int,
    ) -> None:
        self._place = place
        self._settings = place.settings
        self._scale = scale
        self._arms = plan.arms(arms, place.static is not None)
        self._results = results
        self._pool = pool
        self._jobs = jobs
        self._shared = self._what_all_share()

    def run(self) -> None:
        """Everything that is not there yet, and a report of what is there in the end."""
        tuned = self._tuned()
        try:
            self._all(plan.curves(self._arms, self._scale, tuned), "curves")
            if "online" in tuned and self._scale.ablation_seeds:
                self._all(plan.ablations(self._scale, tuned["online"], self._settings), "ablations")
        finally:
            report.write(
                self._results, self._scale, self._arms, tuned, self._settings, self._shared
            )

    def _what_all_share(self) -> dict[str, Any]:
        """Place, settings, versions and rater. Raises BadInput if those of the folder differ."""
        settings = self._settings.model_dump(mode="json", include=report.SETTINGS)
        found: dict[str, Any] = {
            "place": {name: inside(value) for name, value in asdict(self._place).items()},
            "settings": {name: inside(value) for name, value in settings.items()},
        }
        known = self._results.shared(found)
        if known is None:
            rater = self._pool.submit(calibrate, self._place).result()
            known = found | {"rater": rater, "versions": report.versions()}
            self._results.share(known)
        return known

    def _tuned(self) -> dict[ArmName, Tuned]:
        """What the search finds best; without one, the plan's own."""
        settings, starter = self._settings, self._place.is_starter
        searched = [arm for arm in self._arms if arm in plan.COMPARED and self._scale.rungs]
        known = {arm: plan.untuned(arm, settings, starter) for arm in self._arms}
        rate = plan.own_rate(settings, starter)
        points = {arm: plan.grid(arm, rate) for arm in searched}
        for most, seeds in self._scale.rungs:
            labels = [count for count in self._scale.labels if count <= most]
            self._all(plan.search(points, labels, seeds), f"search, {most} labels")
            for arm in searched:
                runs = plan.search({arm: points[arm]}, labels, seeds)
                points[arm] = report.better_half({run: self._results.looks(run) for run in runs})
        return known | {arm: best[0] for arm, best in points.items()}

    def _all(self, runs: Iterable[Run], title: str) -> None:
        """Do those that are not there, and write each down as it ends."""
        wanted = list(runs)
        missing = [run for run in wanted if run not in self._results]
        done = len(wanted) - len(missing)
        with tqdm(total=len(wanted), initial=done, desc=title, unit="run") as bar:
            waiting: dict[Future[Any], Run] = {}
            while missing or waiting:
                while missing and len(waiting) < self._jobs:
                    run = missing.pop(0)
                    waiting[self._submit(run)] = run
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    run, looks = waiting.pop(future), future.result()
                    self._results.add(run, looks)
                    bar.set_postfix_str(f"{run.arm}, score {report.mean_score(looks[-1]):.2f}")
                    bar.update()

    def _submit(self, run: Run) -> Future[Any]:
        slope, prompts = self._shared["rater"]["slope"], self._scale.held_out_prompts
        return self._pool.submit(do, run, self._place, slope, prompts)


def inside(value: Any) -> Any:
    """A path as it is seen from the project; anything else as it is."""
    return value.replace(f"{ROOT}/", "") if isinstance(value, str) else value
