"""Every cell, or those that are named: `make faults`, or `make faults ARGS="--only worker"`.

What is done is kept in data/run-faults/cells.json, so the same command goes on where it was. The
table of all that was tried is written into tests/README.md. The exit code is 1 if a cell failed.
"""

import argparse
import contextlib
import json
import random
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from tests.faults.matrix.bench import Bench, Outcome, bench
from tests.faults.matrix.cells import CELLS, FAULTS, PROCESSES, STATES, Cell
from tests.faults.matrix.held import library

KEPT = Path("data/run-faults/cells.json")
HANDBOOK = Path("tests/README.md")
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
CELLS_A_SERVICE = 24  # then a new one, whose database is small

Tried = dict[str, dict[str, object]]


def wanted(only: Sequence[str]) -> list[Cell]:
    """Cells whose name has all of these words, in an order that soon has some of each fault."""
    found = [cell for cell in CELLS if all(word in cell.name for word in only)]
    random.Random(1).shuffle(found)
    turn = {cell: number for _, cells in _by_fault(found) for number, cell in enumerate(cells)}
    return sorted(found, key=lambda cell: turn[cell])


def _by_fault(cells: Sequence[Cell]) -> Iterator[tuple[str, Iterator[Cell]]]:
    yield from groupby(sorted(cells, key=lambda cell: cell.fault), key=lambda cell: cell.fault)


def table(tried: Tried) -> str:
    """Markdown: a row for each fault of each process that was tried, a column for each state."""
    lines = [f"| fault | process | {' | '.join(STATES)} |", f"|---|---|{'---:|' * len(STATES)}"]
    for fault in FAULTS:
        for process in PROCESSES:
            cells = [Cell(process, fault, state) for state in STATES]
            if any(cell.name in tried for cell in cells):
                told = " | ".join(_told(tried.get(cell.name)) for cell in cells)
                lines.append(f"| {fault} | {process} | {told} |")
    return "\n".join(lines)


def _told(found: dict[str, object] | None) -> str:
    if found is None:
        return ""
    if found["wrong"]:
        return f"**{'; '.join(map(str, found['wrong']))}**"  # type: ignore[call-overload]
    return f"{found['seconds']:.1f}" + (" !" if found["alarms"] else "")


def run(cells: Sequence[Cell], tried: Tried) -> None:
    """Try cells on services, each for some of them; write down each as it ends."""
    with tqdm(total=len(cells), unit="cell", disable=not sys.stderr.isatty()) as bar:
        for clocks in (False, True):
            left = [cell for cell in cells if cell.fault.startswith("clock") == clocks]
            if clocks and left and library() is None:
                print("libfaketime is not installed, so no clock is set.", flush=True)
                return
            while left:
                with tempfile.TemporaryDirectory() as folder:
                    done = run_on_one(Path(folder), left[:CELLS_A_SERVICE], tried, clocks=clocks)
                    bar.update(done)
                    left = left[done:]


def run_on_one(folder: Path, cells: Sequence[Cell], tried: Tried, *, clocks: bool) -> int:
    """As many of these as one service takes, which is over once one fails; how many that were."""
    with bench(folder, clocks=clocks) as on:
        for number, cell in enumerate(cells, start=1):
            outcome = try_out(on, cell)
            tried[cell.name] = asdict(outcome)
            KEPT.parent.mkdir(parents=True, exist_ok=True)
            KEPT.write_text(json.dumps(tried, indent=1))
            print(f"{cell.name}: {outcome}", flush=True)
            if outcome.wrong:
                return number
    return len(cells)


def try_out(on: Bench, cell: Cell) -> Outcome:
    """A cell; what never came to an end is wrong too."""
    try:
        return on.try_out(cell, FAULTS[cell.fault])
    except TimeoutError as error:
        return Outcome(float("nan"), 0, (), (str(error),))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], help="words of the cells' names")
    parser.add_argument("--again", action="store_true", help="forget what was tried before")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves no service behind
    tried: Tried = {}
    if not asked.again:
        with contextlib.suppress(FileNotFoundError):
            tried = json.loads(KEPT.read_text())
    cells = [c for c in wanted(asked.only) if not tried.get(c.name) or tried[c.name]["wrong"]]
    try:
        run(cells, tried)
    except KeyboardInterrupt:
        print("Ended. The same command goes on where it was.", flush=True)
    text = HANDBOOK.read_text()
    new = f"{BEGIN}\n\n{table(tried)}\n\n{END}"
    HANDBOOK.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: new, text, flags=re.DOTALL))
    print(table(tried))
    return int(any(found["wrong"] for found in tried.values()))


if __name__ == "__main__":
    raise SystemExit(main())
