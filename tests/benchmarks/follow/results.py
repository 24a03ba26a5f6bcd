"""What has been run: `runs.jsonl`, a line a run, written as soon as the run has ended.

A run that is there is never done again. What all runs share stands in `settings.json`, and a folder
takes no runs of another plan.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from labeler.domain.errors import BadInput
from tests.benchmarks.follow.rating import Look, Plan, Run


class Results:
    """The runs of a folder. Raises BadInput if it holds those of another plan."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self._path = folder / "runs.jsonl"
        self.runs: dict[Run, list[Look]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._share(folder / "settings.json")
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self.runs[Run(**row["run"])] = [Look(**one) for one in row["looks"]]

    def add(self, run: Run, looks: Sequence[Look]) -> None:
        """Write a run down, for good."""
        line = {"run": asdict(run), "looks": [asdict(one) for one in looks]}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.runs[run] = list(looks)

    def _share(self, path: Path) -> None:
        wanted = json.loads(json.dumps(asdict(self.plan)))
        if not path.is_file():
            path.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        elif json.loads(path.read_text(encoding="utf-8")) != wanted:
            raise BadInput(
                f"{self.folder} holds runs of another plan; give another --out, or remove it."
            )
