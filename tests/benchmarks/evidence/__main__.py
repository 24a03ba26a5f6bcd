"""Does online beat offline, with how many labels, and what does it cost? `make evidence`.

    prepare  ->  search  ->  every arm at every seed  ->  ablations  ->  report

Each run is a process of its own; as many go at once as there are cores, each on one thread. Ctrl-C
ends it, and the same command goes on where it was. `--quick` takes minutes and searches nothing.
On another policy: `--policy DIR_OR_HUB_ID --prompts FILE --rater rm:DIR_OR_HUB_ID`, with another
model's pairs (`prompt`, `chosen`, `rejected`) given by `--static FILE`.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from labeler.config.starter import ROOT, STARTER_POLICY, STARTER_PROMPTS
from labeler.domain.errors import BadInput
from tests.benchmarks.evidence.campaign import Campaign, inside
from tests.benchmarks.evidence.plan import FULL, QUICK, TRAINED
from tests.benchmarks.evidence.results import Results
from tests.benchmarks.evidence.task import make_static
from tests.benchmarks.evidence.world import Place
from tests.benchmarks.resumable import ended_in_words, numbers, parser_of, processes, some_of

OUT = ROOT / "data" / "evidence"
CACHE = ROOT / "data" / "run" / "evidence"
TASK = "tests.benchmarks.evidence.task"  # what the processes import


def main() -> None:
    """Read the command line, run, and say where the report is."""
    options = _parser().parse_args()
    with ended_in_words("evidence"):
        _run(options)


def _run(options: argparse.Namespace) -> None:
    place = Place(options.policy, options.prompts, options.rater, options.static, options.threads)
    if not place.is_starter and place.rater == "grammar":
        raise BadInput("The grammar scores the starter only; give --rater rm:FOLDER_OR_HUB_ID.")
    if place.is_starter and place.static is None and "static" in options.arms:
        CACHE.mkdir(parents=True, exist_ok=True)
        with processes(1, options.threads, TASK) as pool:
            place = replace(place, static=pool.submit(make_static, CACHE).result())
    base = QUICK if options.quick else FULL
    scale = replace(
        base,
        seeds=options.seeds or base.seeds,
        labels=options.labels or base.labels,
        search_seeds=0 if options.no_search else base.search_seeds,
        ablation_seeds=0 if options.no_ablations else base.ablation_seeds,
    )
    results = Results(options.out or (CACHE / "quick" if options.quick else OUT))
    with processes(options.jobs, options.threads, TASK) as pool:
        Campaign(place, scale, options.arms, results, pool, options.jobs).run()
    print(f"The report is {results.folder / 'README.md'}.")


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("evidence", __doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="minutes: two seeds, 128 labels, no search")
    add("--out", type=Path, help=f"folder of the report; default {inside(str(OUT))}")
    add("--policy", default=str(STARTER_POLICY), help="folder or hub id; default: the starter")
    add("--prompts", default=str(STARTER_PROMPTS), help="prompts to learn on and be measured on")
    add("--rater", default="grammar", help="grammar, or rm:FOLDER_OR_HUB_ID")
    add("--static", help="file with another model's pairs; on the starter it is made")
    add("--arms", type=some_of(TRAINED), default=TRAINED, help="some of " + ",".join(TRAINED))
    add("--seeds", type=int, help="5, with --quick 2")
    add("--labels", type=numbers, help="counts at which to look, such as 64,128,256")
    add("--no-search", action="store_true", help="learning rates and betas as in `plan`")
    add("--no-ablations", action="store_true")
    return parser


if __name__ == "__main__":
    main()
