"""Rebuild the starter: `python -m trainer.starter [--out DIR] [--prompts FILE] [--seed N]`."""

import argparse
import time
from pathlib import Path

from trainer.starter.build import Report, build
from trainer.starter.settings import Sizes


def main() -> None:
    """Build with the shipped sizes and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m trainer.starter", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/starter"), metavar="DIR")
    parser.add_argument("--prompts", type=Path, default=Path("data/prompts.jsonl"), metavar="FILE")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args()
    started = time.monotonic()
    report = build(options.out, options.prompts, options.seed, Sizes())
    print_summary(report, options.out, time.monotonic() - started)


def print_summary(report: Report, out: Path, build_seconds: float) -> None:
    """A table of what was built."""
    size_bytes = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    rows = {
        "prompts": f"{report.prompts}",
        "policy parameters": f"{report.policy_parameters:,}",
        "reward parameters": f"{report.reward_parameters:,}",
        "mean score of the grammar": f"{report.grammar_score:.2f}",
        "mean score of the policy": f"{report.trained.mean_score:.2f}",
        "  on new wordings": f"{report.held_out.mean_score:.2f}",
        "mean length, tokens": f"{report.trained.mean_tokens:.1f}",
        "unfinished": f"{report.trained.unfinished:.1%}",
        "reward accuracy": f"{report.reward_accuracy:.1%}",
        f"size of {out}": f"{size_bytes / 1e6:.1f} MB",
        "built in": f"{build_seconds / 60:.1f} minutes",
    }
    print()
    for name, value in rows.items():
        print(f"{name:<28} {value:>14}")


if __name__ == "__main__":
    main()
