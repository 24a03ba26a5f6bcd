"""The report of a folder of runs: README.md with tables, summary.json, two pictures.

Only what has been run is told; an arm without all its seeds is told on those it has.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from labeler.config.settings import Settings
from tests.benchmarks.evidence import compare, plan, plots, words
from tests.benchmarks.evidence.findings import Findings
from tests.benchmarks.evidence.intervals import as_json
from tests.benchmarks.evidence.measure import Look
from tests.benchmarks.evidence.plan import ArmName, Run, Scale, Tuned
from tests.benchmarks.evidence.results import Results

SETTINGS = {
    "policy",
    "temperature",
    "top_p",
    "max_new_tokens",
    "lora_rank",
    "lora_alpha",
    "max_grad_norm",
    "simpo_gamma",
    "dtype",
    "device",
}
LIBRARIES = ("livedpo", "torch", "transformers", "peft", "trl", "numpy", "scipy")


def mean_score(look: Look) -> float:
    """Of all its answers."""
    return float(np.mean(look.scores))


def better_half(searched: Mapping[Run, Sequence[Look]]) -> list[Tuned]:
    """The half of the points, one at least, with the highest last scores, mean over seeds."""
    found: dict[Tuned, list[float]] = {}
    for run, looks in searched.items():
        tuned = Tuned(run.learning_rate, run.beta)
        found.setdefault(tuned, []).append(mean_score(looks[-1]))
    ranked = sorted(found, key=lambda tuned: float(np.mean(found[tuned])), reverse=True)
    return ranked[: max(1, len(ranked) // 2)]


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    found = {name: version(name) for name in LIBRARIES}
    return found | {"python": platform.python_version(), "cores": str(os.cpu_count())}


def write(
    results: Results,
    scale: Scale,
    arms: Sequence[ArmName],
    tuned: Mapping[str, Tuned],
    settings: Settings,
    shared: Mapping[str, Any],
) -> None:
    """Everything that can be told of the folder by now."""
    findings = Findings(results, scale, arms, tuned, settings)
    if "start" not in findings.by_arm or not findings.arms:
        return
    found = summary(findings, shared)
    text = json.dumps(found, indent=2) + "\n"
    (results.folder / "summary.json").write_text(text, encoding="utf-8")
    readme = results.folder / "README.md"
    written = words.hand_written(readme.read_text(encoding="utf-8")) if readme.exists() else ""
    readme.write_text(words.text(findings, found, written), encoding="utf-8")
    plots.curves(findings, results.folder / "curves.png")
    if findings.ablations():
        plots.ablations(findings.ablations(), results.folder / "ablations.png")


def summary(findings: Findings, shared: Mapping[str, Any]) -> dict[str, Any]:
    """All figures, for programs."""
    most = max(findings.scale.labels)
    found: dict[str, Any] = {}
    for arm in findings.arms_at(most):
        if arm != "online" and "online" in findings.arms:
            found[f"online_vs_{arm}"] = _against(findings, "online", arm, most)
    if "online_fill" in findings.arms:
        few = max(plan.labels_of("online_fill", findings.scale))
        for arm in findings.arms:
            if arm != "online_fill":
                found[f"fill_vs_{arm}"] = _against(findings, "online_fill", arm, few)
        for arm in ("offline", "online"):
            if arm in findings.arms:
                whole, low, high = findings.share_to_best(arm, "online_fill")
                found[f"labels_to_{arm}_best_fill"] = whole
                found[f"labels_to_{arm}_best_fill_bounds"] = [low, high]
    for arm in ("offline", "static"):
        if arm in findings.arms and "online" in findings.arms:
            whole, low, high = findings.share_to_best(arm)
            found[f"labels_to_{arm}_best"] = whole
            found[f"labels_to_{arm}_best_bounds"] = [low, high]
    found["arms"] = {
        arm: {
            str(labels): _figures(findings, arm, labels)
            for labels in plan.labels_of(arm, findings.scale)
        }
        for arm in findings.arms
    }
    found["start"] = _figures(findings, "start", 0)
    found["tuned"] = {arm: asdict(tuned) for arm, tuned in findings.tuned.items()}
    found["scale"] = asdict(findings.scale)
    found["ablations"] = [
        {
            "group": one.group,
            "variant": one.variant,
            "score": as_json(one.score),
            "gain": as_json(one.gain) if one.gain else None,
            "seeds": one.seeds,
        }
        for one in findings.ablations()
    ]
    return found | dict(shared)


def _against(findings: Findings, ours: str, theirs: str, labels: int) -> dict[str, Any]:
    record = findings.versus(ours, theirs, labels)
    return record.as_json(labels, findings.seeds(ours, theirs))


def _figures(findings: Findings, arm: str, labels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"score": as_json(compare.mean(findings.scores(arm, labels)))}
    found["seeds"] = findings.seeds(arm)
    found["kl"] = as_json(findings.over_seeds(arm, labels, "kl"))
    found["tokens"] = as_json(findings.length(arm, labels))
    for name in ("unfinished", "seconds", "cpu_seconds", "peak_mb"):
        found[name] = as_json(findings.over_seeds(arm, labels, name))
    for other in ("start", "online"):
        if other in findings.by_arm and arm not in ("start", other):
            found[f"against_{other}"] = _against(findings, arm, other, labels)
    return found
