"""Requests or files of all kinds, as many as one likes: `python -m tests.faults.fuzz files`.

The tests of the same kind take a few hundred, always the same ones; this takes others each time.
What fails is printed in its shortest form, kept by Hypothesis in `.hypothesis/fuzz/`, and tried
first the next time.
"""

import argparse
import asyncio
import logging
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.support.mutated_files import File, check_file, files
from tests.support.requests import Asked, a_house, answer_to, asked, check_answer

SHOWN = 1_000  # how often it says how far it is


class Records(logging.Handler):
    """What was logged since the last look."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.kept.append(record)

    def taken(self) -> list[logging.LogRecord]:
        """All that was kept, which is then forgotten."""
        kept, self.kept = self.kept, []
        return kept


class Progress:
    """Counts, and says so now and then."""

    def __init__(self, wanted: int) -> None:
        self.done, self.wanted = 0, wanted

    def step(self) -> None:
        """One more."""
        self.done += 1
        if self.done % SHOWN == 0:
            print(f"{self.done:,} of {self.wanted:,}", flush=True)


def fuzz_files(folder: Path, often: settings, progress: Progress) -> None:
    """Raises what a file led to."""

    @often
    @given(files())
    def read(file: File) -> None:
        progress.step()
        check_file(folder, file)

    read()


def fuzz_requests(folder: Path, often: settings, progress: Progress) -> None:
    """Raises what a request led to."""
    records = Records()
    logging.getLogger().addHandler(records)
    with a_house(folder) as house, asyncio.Runner() as runner:

        @often
        @given(asked(house.cookies))
        def ask(request: tuple[str, Asked]) -> None:
            progress.step()
            records.taken()
            check_answer(runner.run(answer_to(house.app, request[1])), records.taken())

        ask()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("files", "requests"))
    parser.add_argument("--examples", type=int, default=100_000)
    given_ = parser.parse_args()
    often = settings(
        max_examples=given_.examples,
        database=DirectoryBasedExampleDatabase(Path(".hypothesis") / "fuzz"),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    fuzz = {"files": fuzz_files, "requests": fuzz_requests}[given_.what]
    with tempfile.TemporaryDirectory() as folder:
        progress = Progress(given_.examples)
        fuzz(Path(folder), often, progress)
    print(f"{progress.done:,} {given_.what}, and none of them did harm.")


if __name__ == "__main__":
    main()
