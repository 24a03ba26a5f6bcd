"""A row of the table: a ratio of ours to a peer's, with its range over the rounds."""

import importlib.util
import statistics
from collections.abc import Sequence
from typing import Any

GOALS = {
    "sampling_vs_generate": 4.0,
    "sampling_vs_llama_cpp": 1.0,
    "update_vs_trl": 4.0,
    "update_memory_vs_trl": 0.5,
    "loop_vs_trl": 5.0,
    "judge_time_vs_trl": 0.4,
}
AT_MOST = ("update_memory_vs_trl", "judge_time_vs_trl")
Row = dict[str, Any]


def row(ours: Sequence[float], theirs: Sequence[float], peer: str, **more: Any) -> Row:
    """Round by round; `more` is said of it besides."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return row_of(ratios, peer, ours=list(ours), theirs=list(theirs), **more)


def row_of(ratios: Sequence[float], peer: str, **more: Any) -> Row:
    """The same from the ratios of the rounds."""
    return {
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "rounds": len(ratios),
        "peer": peer,
        **more,
    }


def absent(package: str) -> Row | None:
    """What stands for a row whose peer is not installed; None if it is."""
    if importlib.util.find_spec(package) is not None:
        return None
    why = f"{package} is not installed; `make bench-real` installs it"
    return {"ratio": None, "low": None, "high": None, "rounds": 0, "missing": why}


def line_of(name: str, found: Row) -> str:
    """A row for people."""
    if found["ratio"] is None:
        return f"{name:24}{'-':>7}   {found['missing']}"
    bound = "at most" if name in AT_MOST else "at least"
    share = found.get("share_of_limit")
    limit = "" if share is None else f", {share:.0%} of the limit"
    return (
        f"{name:24}{found['ratio']:6.2f}x [{found['low']:.2f}, {found['high']:.2f}], goal {bound} "
        f"{GOALS[name]}x{limit}, against {found['peer']}"
    )


def profile_of(name: str, found: Row) -> list[str]:
    """Where the time of ours goes, for people."""
    shares = found.get("profile")
    if not shares:
        return []
    return [f"{name}, where the time of ours goes:", *(f"  {s:6.1%}  {kind}" for kind, s in shares)]
