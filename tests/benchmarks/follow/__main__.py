"""Does a policy follow simple tastes, and after how many votes? `make follow`.

Each run, one taste at one seed, is a process of its own. Ctrl-C ends it, and the same command goes
on where it was; a run that was under way begins again. `--policy`, `--set` and the like are those
of the service, so a setting can be tried before it becomes a default.
"""

import argparse
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path

from tqdm import tqdm

from labeler.config.starter import ROOT
from tests.benchmarks.follow import report
from tests.benchmarks.follow.rating import Plan, Run, looks_of
from tests.benchmarks.follow.results import Results
from tests.benchmarks.follow.tastes import TASTES
from tests.benchmarks.resumable import ended_in_words, numbers, parser_of, processes, some_of

OUT = ROOT / "data" / "follow"


def main() -> None:
    """Read the command line, run, and say where the report is."""
    options = _parser().parse_args()
    with ended_in_words("follow"):
        _run(options)


def _run(options: argparse.Namespace) -> None:
    settings = {"policy": options.policy} | dict(one.split("=", 1) for one in options.set)
    plan = Plan(settings, options.votes, options.flips, options.prompts, options.turn)
    results = Results(options.out, plan)
    wanted = [Run(taste, seed) for seed in range(options.seeds) for taste in options.tastes]
    missing = [run for run in wanted if run not in results.runs]
    with (
        processes(options.jobs, options.threads, "tests.benchmarks.follow.rating") as pool,
        tqdm(total=len(wanted), initial=len(wanted) - len(missing), unit="run") as bar,
    ):
        waiting = {pool.submit(looks_of, run, plan): run for run in missing}
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                run = waiting.pop(future)
                results.add(run, future.result())
                report.write(results)
                bar.set_postfix_str(f"{run.taste}, seed {run.seed}")
                bar.update()
    print(f"The report is {report.write(results)}.")


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("follow", __doc__)
    add = parser.add_argument
    add("--policy", default="smollm2", help="as of the service; default: smollm2")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting")
    add("--tastes", type=some_of(TASTES), default=tuple(TASTES), help="some of " + ",".join(TASTES))
    add("--seeds", type=int, default=3)
    add("--votes", type=numbers, default=Plan.votes, help="counts at which to look")
    add("--flips", type=float, default=Plan.flips, help="share of votes that say the opposite")
    add("--prompts", type=int, default=Plan.prompts, help="answered at each look")
    add("--turn", type=int, metavar="VOTES", help="after which the rater wants the opposite")
    add("--out", type=Path, default=OUT, help="folder of the report")
    return parser


if __name__ == "__main__":
    main()
