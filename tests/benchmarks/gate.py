"""How often the gate keeps back good updates, and how often bad ones: `make bench-gate`.

The starter runs its loop in one process with a simulated rater, who prefers by the grammar's score
with human-like noise (Bradley-Terry, slope 1). Every update of the loop counts as a good one. Then
planted updates are trained on the labels that would be next, each spoilt in one way, and shown to
the same gate. Printed in total over the seeds, with 95 % intervals (Wilson).
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from labeler.config.load import load_settings
from labeler.domain.estimate import Estimate
from labeler.domain.states import UpdateState
from labeler.store.database import Database
from labeler.store.tables import Update
from tests.support.loop import PLANTS, Loop, planted, sure
from tests.support.store import rows
from trainer.starter.grammar import score


def of_seed(seed: int, updates: int, flags: dict[str, Any], taste: str = "noisy") -> dict[str, Any]:
    """The loop's updates and the planted ones, of one seed."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"seed": seed, "data_dir": Path(folder), **flags}, {})
        loop = Loop(settings, {"noisy": score, "sure": sure}[taste])
        for _ in tqdm(range(updates), desc=f"seed {seed}", leave=False):
            loop.update()
        good = [
            {"state": str(row.state), "reason": row.reason, "metrics": row.finding.to_json()}
            for row in rows(Database(settings.database_url), Update)
        ]
        bad = []
        for plant in PLANTS:
            finding = planted(loop, plant)
            bad.append(
                {
                    "plant": plant.name,
                    "refused": bool(finding.objections),
                    "reason": "; ".join(finding.objections),
                    "metrics": finding.to_json(),
                }
            )
        loop.store.close()
        return {"seed": seed, "good": good, "bad": bad}


def share(hits: int, of: int) -> str:
    """A share with its interval."""
    return f"{hits}/{of} = {Estimate.share(hits, of, 'none'):.0%}"


def print_table(results: Sequence[dict[str, Any]]) -> None:
    """Both rates over all seeds."""
    good = [update for result in results for update in result["good"]]
    kept_back = sum(update["state"] == UpdateState.REJECTED for update in good)
    print(f"{'updates of the loop kept back':<34}{share(kept_back, len(good))}")
    for plant in PLANTS:
        bad = [one for result in results for one in result["bad"] if one["plant"] == plant.name]
        refused = sum(one["refused"] for one in bad)
        print(f"{'planted: ' + plant.name:<34}{share(refused, len(bad))} kept back")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=10, help="updates of the loop, a seed")
    parser.add_argument("--labels", type=int, default=16, help="labels an update")
    parser.add_argument("--prompts", type=int, default=16, help="prompts of the gate")
    parser.add_argument("--judge", action="store_true", help="ask the starter's reward model too")
    parser.add_argument("--taste", choices=["noisy", "sure"], default="noisy")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    torch.set_num_threads(2)
    flags = {"labels_per_update": options.labels, "gate_prompts": options.prompts}
    flags |= {"judge": "starter"} if options.judge else {}
    results = [
        of_seed(seed, options.updates, flags, options.taste) for seed in range(options.seeds)
    ]
    if options.json:
        print(json.dumps(results))
    else:
        print_table(results)


if __name__ == "__main__":
    main()
