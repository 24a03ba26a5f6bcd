"""A million steps of the store beside its model: `python -m tests.faults.soak_store`.

Each round has its own seed. What was done is written to `.hypothesis/soak-store.json`, so a run
that was stopped goes on where it was. A round that fails ends it: the seed is printed and written
there too, and Hypothesis keeps the shortest form in `.hypothesis/soak-store/`, to try it first.
"""

import argparse
import json
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from labeler.store import open_store
from labeler.store.database import Database
from tests.support.model.machine import StoreMachine
from tests.support.model.world import World

KEPT = Path(".hypothesis")
RUNS, RULES = 20, 100  # of a round: runs from an empty store, and rules of each


@dataclass
class Done:
    """How far the soak is: verbs that were run, rounds, and the seeds of those that failed."""

    steps: int = 0
    rounds: int = 0
    failed: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> "Done":
        """What an earlier run did."""
        return cls(**json.loads(file.read_text())) if file.exists() else cls()

    def write(self, file: Path) -> None:
        """Keep it for a later one."""
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(asdict(self)))


def play(machine: Callable[[], RuleBasedStateMachine], number: int) -> None:
    """One round. Raises what a run of it raised, after Hypothesis has printed its shortest form."""
    seeded = seed(number)(machine)
    run_state_machine_as_test(
        seeded,  # type: ignore[arg-type]  # it may be any function that makes a machine
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=RULES,
            database=DirectoryBasedExampleDatabase(KEPT / "soak-store"),
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def soak(url: str, steps: int) -> bool:
    """Rounds until so many steps were done in all, over all runs; whether none failed now."""
    file = KEPT / "soak-store.json"
    done = Done.read(file)
    store, database = open_store(url), Database(url)  # until this process ends
    while done.steps < steps:
        before, number = World.steps, done.rounds
        try:
            play(lambda: StoreMachine(store, database), number)
        except Exception:
            traceback.print_exc()
            print(f"The round of seed {number} failed.", flush=True)
            done.failed.append(number)
            done.write(file)
            return False
        done.rounds += 1
        done.steps += World.steps - before
        done.write(file)
        print(f"{done.steps:,} of {steps:,} steps in {done.rounds} rounds", flush=True)
    return True


def main() -> int:
    """The command line; the exit code is 1 if a round has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--database", help="the URL of an empty database; else a file of SQLite")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = asked.database or f"sqlite:///{folder}/soak.sqlite"
        return int(not soak(url, asked.steps))


if __name__ == "__main__":
    raise SystemExit(main())
