"""Many raters at once, beside Label Studio: `make bench-load ARGS="--minutes 10 --rounds 2"`.

Fifty raters, each with an account and a connection of their own, do over HTTP what the rating page
does (see `load_ours`), on one `livedpo serve` with the starter, whose worker samples and trains all
the while. Beside them somebody rates by keyboard in Chromium.

With --peer-env the same number of people then do as much in Label Studio, which trains nothing (see
`load_peer`). The two take turns, and ratios are worked out within each round. With --think 0 0
nobody thinks: then pairs are made up beforehand and only the web role runs, since no model samples
that fast. Figures are those of the machine, which does nothing else; ratios are what counts.

`--raters 50 100 200 300` takes more people at a time, and says which of the GOALS each run has
missed and what the processes took of the cores. `--raters 0 --set policy=smollm2 --key-think 20 40`
is one person, in Chromium, at a real model.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.crowd import KEY_PACE, Figures, Pace, Plan
from tests.benchmarks.load_ours import measure
from tests.benchmarks.load_peer import install, measure_peer
from tests.support.browser import chromium

# What nobody should notice of the others: times are 95th percentiles, in ms. Presses on an empty
# queue are those after each rater's first half minute: fifty who come at once find what one needs.
GOALS = {
    "presses on an empty queue": 0.0,
    "key to pair": 50.0,
    "round trip of a vote": 150.0,
    "lost": 0.0,
    "doubled": 0.0,
}


def missed(run: dict[str, Any]) -> list[str]:
    """The goals that a run of ours has missed, with what it came to."""
    keys = run["more"].get("keyboard_ms")
    absent = keys["next_pair_absent"] - keys["next_pair_absent_at_first"] if keys else 0
    found = {
        "presses on an empty queue": run["empty"] - run["empty_at_first"] + absent,
        "key to pair": keys["p95"] if keys else 0.0,
        "round trip of a vote": run["vote_ms"]["p95"] if run["vote_ms"] else 0.0,
        "lost": run["lost"],
        "doubled": run["doubled"],
    }
    return [
        f"{name} {found[name]:g} ({most:g})" for name, most in GOALS.items() if found[name] > most
    ]


def verdict(run: dict[str, Any]) -> str:
    """One line on a run of ours: its goals, and what it took."""
    keys = run["more"].get("keyboard_ms")
    presses = run["saved"] + run["unsaved"] + (keys["votes"] if keys else 0)
    cores = ", ".join(f"{name} {used}" for name, used in run["more"]["cores"].items())
    goals = "; ".join(missed(run)) or "none"
    votes, pairs = run["saved_per_second"], run["more"]["pairs_sampled_per_second"]
    return (
        f"{run['raters']} raters, {presses} presses. Goals missed: {goals}. "
        f"A second: {votes} votes, {pairs} pairs sampled. Cores used: {cores}."
    )


def ratios(ours: Figures, theirs: Figures) -> dict[str, float | None]:
    """Theirs to ours for times, ours to theirs for votes: above 1 is to our favour."""

    def times(name: str, quantile: str) -> float | None:
        mine, other = getattr(ours, name), getattr(theirs, name)
        if mine is None or other is None:
            return None
        return round(float(getattr(other, quantile) / getattr(mine, quantile)), 2)

    found = {
        f"{name} {quantile}": times(name, quantile)
        for name in ("vote_ms", "vote_and_next_ms")
        for quantile in ("p50", "p95", "p99")
    }
    rate = ours.saved_per_second / theirs.saved_per_second if theirs.saved_per_second else None
    return {**found, "saved_per_second": round(rate, 2) if rate else None}


def table(rounds: Sequence[dict[str, Any]]) -> str:
    """Markdown: a column a run, and the median ratio."""
    columns = [
        (f"{who} {number}, {run['ours']['raters']} raters", run[who])
        for number, run in enumerate(rounds, start=1)
        for who in ("ours", "peer")
        if who in run
    ]
    names = (
        "saved",
        "saved_per_second",
        "empty",
        "empty_at_first",
        "lost",
        "doubled",
        "unsaved",
        "sent_again",
    )
    rows = [[name, *(str(run[name]) for _, run in columns)] for name in names]
    for name in ("vote_ms", "vote_and_next_ms"):
        rows += [
            [f"{name} {q}", *(str(run[name][q]) if run[name] else "-" for _, run in columns)]
            for q in ("p50", "p95", "p99", "longest")
        ]
    rows.append(["errors", *(str(sum(run["errors"].values())) for _, run in columns)])
    rows.append(["waited_share", *(str(run["waited_share"]) for _, run in columns)])
    for quantile in (
        "p50",
        "p95",
        "longest",
        "count",
        "next_pair_absent",
        "next_pair_absent_at_first",
    ):
        keys = [run["more"].get("keyboard_ms") for _, run in columns]
        rows.append([f"key to pair, {quantile}", *(str(k[quantile]) if k else "-" for k in keys)])
    for name in ("pairs_sampled_per_second", "updates"):
        rows.append([name, *(_short(run["more"].get(name)) for _, run in columns)])
    head = ["", *(name for name, _ in columns)]
    lines = [head, ["---", *("---:" for _ in columns)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _short(value: Any) -> str:
    return "-" if value is None else str(value["done"] if isinstance(value, dict) else value)


def run(plans: Sequence[Plan], rounds: int, peer: Path | None) -> dict[str, Any]:
    """All rounds of each plan, ours and theirs in turn."""
    found: list[dict[str, Any]] = []
    for number, plan in ((number, plan) for plan in plans for number in range(1, rounds + 1)):
        print(f"Round {number}, {plan.raters} raters: ours.", file=sys.stderr)
        if plan.keyboard:
            with chromium() as browser:
                ours = measure(plan, browser)
        else:
            ours = measure(plan, None)
        found.append({"ours": asdict(ours)})
        print(verdict(found[-1]["ours"]), file=sys.stderr)
        if peer:
            print(f"Round {number}: Label Studio.", file=sys.stderr)
            theirs = measure_peer(plan, peer)
            found[-1] |= {"peer": asdict(theirs), "ratios": ratios(ours, theirs)}
    medians = {
        name: statistics.median(values)
        for name in found[0].get("ratios", {})
        if (values := [r["ratios"][name] for r in found if r["ratios"][name] is not None])
    }
    return {
        "plans": [asdict(plan) for plan in plans],
        "cpus": os.cpu_count(),
        "load_before": os.getloadavg(),
        "rounds": found,
        "median_ratios": medians,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run")
    parser.add_argument(
        "--raters", type=int, nargs="+", default=[50], help="people at once; a run for each number"
    )
    parser.add_argument(
        "--think",
        type=float,
        nargs=2,
        default=(4.0, 10.0),
        metavar=("LEAST", "MOST"),
        help="seconds that a vote takes them; 0 0: none, on made-up pairs, without a worker",
    )
    parser.add_argument(
        "--key-think",
        type=float,
        nargs=2,
        default=None,
        metavar=("LEAST", "MOST"),
        help="seconds that a vote takes the one in Chromium",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the service"
    )
    parser.add_argument("--rounds", type=int, default=1, help="runs of each side")
    parser.add_argument("--peer-env", type=Path, help="folder for Label Studio's environment")
    parser.add_argument("--labels-per-update", type=int, default=64)
    parser.add_argument("--queue-pairs", type=int, default=24)
    parser.add_argument("--cooldown-seconds", type=float, default=0.0)
    parser.add_argument("--no-keyboard", action="store_true", help="nobody in Chromium")
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")
    options = parser.parse_args()
    pace = Pace(*options.think)
    plans = [
        Plan(
            raters=raters,
            seconds=60 * options.minutes,
            pace=pace,
            labels_per_update=options.labels_per_update,
            queue_pairs=options.queue_pairs,
            cooldown_seconds=options.cooldown_seconds,
            keyboard=not options.no_keyboard,
            key_pace=Pace(*options.key_think) if options.key_think else KEY_PACE,
            settings=dict(one.split("=", 1) for one in options.set),
        )
        for raters in options.raters
    ]
    if options.peer_env:
        install(options.peer_env)
    found = run(plans, options.rounds, options.peer_env)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))
    print(table(found["rounds"]))
    for each in found["rounds"]:
        print(f"\n{verdict(each['ours'])}")
    if found["median_ratios"]:
        print("\nAbove 1 is to our favour:", json.dumps(found["median_ratios"]))


if __name__ == "__main__":
    main()
