"""One side of a comparison in a process of its own: so its memory is its own."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def high_water_mb() -> float:
    """The most memory this process has held, in MB, by the kernel's account."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def peak_mb(device: str) -> float:
    """The most memory this process has held there, in MB: of a GPU what torch's tensors took."""
    if device == "cpu":
        return high_water_mb()
    import torch

    return torch.cuda.max_memory_allocated() / 2**20


def measured_alone(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run a module as a program; what it says in its last line, as JSON.

    Raises RuntimeError with all that it wrote to stderr, if it fails.
    """
    run = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    if run.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{run.stderr}")
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Ours to theirs, round by round: smallest, median, largest."""
    found = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return min(found), statistics.median(found), max(found)
