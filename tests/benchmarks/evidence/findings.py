"""The looks of a folder, arm by arm and variant by variant, over the seeds that are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from labeler.config.settings import Settings
from labeler.domain.estimate import Estimate
from tests.benchmarks.evidence import compare, plan
from tests.benchmarks.evidence.compare import Record, Scores
from tests.benchmarks.evidence.intervals import over_seeds
from tests.benchmarks.evidence.measure import Look
from tests.benchmarks.evidence.plan import ArmName, Run, Scale, Tuned
from tests.benchmarks.evidence.results import Results


@dataclass(frozen=True)
class Ablation:
    """A variant's mean score, and by how much it beats the usual run (None: it is that)."""

    group: str
    variant: str
    score: Estimate
    gain: Estimate | None
    seeds: int


class Findings:
    """The looks of a folder, by arm and labels, over the seeds that all of them have."""

    def __init__(
        self,
        results: Results,
        scale: Scale,
        arms: Sequence[ArmName],
        tuned: Mapping[str, Tuned],
        settings: Settings,
    ) -> None:
        self._results = results
        self.scale = scale
        self.tuned = tuned
        self._settings = settings
        self.by_arm = {arm: self._of_arm(arm) for arm in ("start", *arms)}
        self.by_arm = {arm: looks for arm, looks in self.by_arm.items() if looks}

    @property
    def arms(self) -> list[ArmName]:
        """The trained arms there are runs of."""
        return [arm for arm in plan.TRAINED if arm in self.by_arm]

    def arms_at(self, labels: int) -> list[ArmName]:
        """Those of them that were looked at after so many labels."""
        return [arm for arm in self.arms if labels in plan.labels_of(arm, self.scale)]

    def seeds(self, *arms: str) -> int:
        """How many seeds all of these have."""
        return min(len(self.by_arm[arm]) for arm in arms)

    def looks(self, arm: str, labels: int) -> list[Look]:
        """One a seed."""
        place = 0 if arm == "start" else self.scale.labels.index(labels)
        return [looks[place] for looks in self.by_arm[arm]]

    def scores(self, arm: str, labels: int) -> Scores:
        """Seeds by prompts by answers."""
        return compare.scores(self.looks(arm, labels))

    def versus(self, ours: str, theirs: str, labels: int) -> Record:
        """One arm against another after so many labels, at the seeds that both have."""
        seeds = self.seeds(ours, theirs)
        return compare.record(
            self.scores(ours, labels)[:seeds], self.scores(theirs, labels)[:seeds]
        )

    def over_seeds(self, arm: str, labels: int, name: str) -> Estimate:
        """A figure of the looks that is one number a run."""
        return over_seeds([getattr(look, name) for look in self.looks(arm, labels)])

    def length(self, arm: str, labels: int) -> Estimate:
        """Tokens of an answer."""
        return over_seeds([float(np.mean(look.lengths)) for look in self.looks(arm, labels)])

    def share_to_best(
        self, arm: ArmName, ours: ArmName = "online"
    ) -> tuple[float | None, float | None, float | None]:
        """The share of an arm's labels that ours needed to reach its best score; its bounds."""
        seeds = self.seeds(ours, arm)
        mine, theirs = (
            {n: self.scores(one, n)[:seeds] for n in plan.labels_of(one, self.scale)}
            for one in (ours, arm)
        )
        return compare.share_to_best(mine, theirs)

    def min_ablation_seeds(self) -> int:
        """How many seeds each variant has at least."""
        found = self.ablations()
        if not found:
            return 0
        planned = list(plan.variants(self.scale, self.tuned["online"], self._settings))
        return min(one.seeds for one in found) if len(found) == len(planned) else 0

    def ablations(self) -> list[Ablation]:
        """Of each variant that has been run."""
        if "online" not in self.tuned:
            return []
        found = []
        for one in plan.variants(self.scale, self.tuned["online"], self._settings):
            seeds = [
                seed
                for seed in range(self.scale.ablation_seeds)
                if replace(one.run, seed=seed) in self._results
                and replace(one.usual, seed=seed) in self._results
            ]
            if seeds:
                ours, base = (self._ablation(run, seeds) for run in (one.run, one.usual))
                gap = None if one.run == one.usual else compare.difference(ours, base)
                score = compare.mean(ours)
                found.append(Ablation(one.group, one.name, score, gap, len(seeds)))
        return found

    def _ablation(self, run: Run, seeds: Sequence[int]) -> Scores:
        return compare.scores([self._results.looks(replace(run, seed=seed))[-1] for seed in seeds])

    def _of_arm(self, arm: ArmName) -> list[list[Look]]:
        """The looks of each seed from the first on, up to one that is missing."""
        found = []
        for seed in range(self.scale.seeds):
            if arm == "start":
                run = plan.start(seed)
            else:
                labels = plan.labels_of(arm, self.scale)
                run = plan.plain(arm, self.tuned[arm], labels, seed, "curves")
            if run not in self._results:
                break
            found.append(self._results.looks(run))
        return found
