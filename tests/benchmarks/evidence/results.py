"""What has been run: `runs.jsonl`, a line a run, written as soon as the run has ended.

A run that is there is never done again; a last line that was cut off counts as not there. What all
runs share stands in `settings.json`, and a folder takes no runs of other settings.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labeler.domain.errors import BadInput
from tests.benchmarks.evidence.measure import Look
from tests.benchmarks.evidence.plan import Run


class Results:
    """The runs of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "runs.jsonl"
        self._settings = folder / "settings.json"
        self._known: dict[str, list[Look]] = {}
        self.runs: list[Run] = []
        if self._path.is_file():
            self._read()

    def __contains__(self, run: Run) -> bool:
        return run.key in self._known

    def looks(self, run: Run) -> list[Look]:
        """What was measured of a run that is there."""
        return self._known[run.key]

    def add(self, run: Run, looks: Sequence[Look]) -> None:
        """Write a run down, for good."""
        line = {"run": asdict(run), "looks": [_rounded(asdict(one)) for one in looks]}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._remember(run, list(looks))

    def shared(self, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
        """What all runs here share; None if there is none yet.

        Raises BadInput if any of what is `wanted` is another there.
        """
        if not self._settings.is_file():
            return None
        known: dict[str, Any] = json.loads(self._settings.read_text(encoding="utf-8"))
        for name, value in json.loads(json.dumps(wanted)).items():
            if known.get(name) != value:
                raise BadInput(
                    f"{self.folder} holds runs of another '{name}' ({known.get(name)}, not "
                    f"{value}); give another --out, or remove that folder."
                )
        return known

    def share(self, settings: Mapping[str, Any]) -> None:
        """Write down what all runs here will share."""
        self._settings.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def _read(self) -> None:
        """Read the lines, and cut off what a crash left of the last one."""
        whole = 0
        data = self._path.read_bytes()
        for line in data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            row = json.loads(line)
            run = row["run"] | {"labels": tuple(row["run"]["labels"])}
            self._remember(Run(**run), [Look(**one) for one in row["looks"]])
            whole += len(line)
        if whole < len(data):
            os.truncate(self._path, whole)

    def _remember(self, run: Run, looks: list[Look]) -> None:
        self._known[run.key] = looks
        self.runs.append(run)


def _rounded(value: Any) -> Any:
    """Four digits are more than anything here is good for."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: _rounded(some) for name, some in value.items()}
    return [_rounded(some) for some in value] if isinstance(value, list | tuple) else value
