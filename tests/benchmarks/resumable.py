"""What benchmarks of many runs share, each run in a process of its own: options, pool and ends.

Such a benchmark writes down each run as it ends, so the same command goes on where it was.
"""

import argparse
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from labeler.domain.errors import LivedpoError

Name = TypeVar("Name", bound=str)


def parser_of(name: str, description: str | None) -> argparse.ArgumentParser:
    """The command line of `tests.benchmarks.NAME`, with what it says of processes."""
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    jobs = 1 if torch.cuda.is_available() else len(os.sched_getaffinity(0))
    help_ = "runs at once; one a core, 1 on an accelerator"
    parser.add_argument("--jobs", type=int, default=jobs, help=help_)
    parser.add_argument("--threads", type=int, default=1, help="of each run")
    return parser


def numbers(text: str) -> tuple[int, ...]:
    """Counts such as 64,128, in order."""
    return tuple(sorted(int(part) for part in text.split(",")))


def some_of(known: Collection[Name]) -> Callable[[str], tuple[Name, ...]]:
    """What reads some of these names, in their order."""

    def read(text: str) -> tuple[Name, ...]:
        found = tuple(name for name in known if name in text.split(","))
        if len(found) != len(text.split(",")):
            raise argparse.ArgumentTypeError(f"{text} is not some of {','.join(known)}")
        return found

    return read


@contextmanager
def ended_in_words(name: str) -> Iterator[None]:
    """A problem and Ctrl-C are one line each."""
    try:
        yield
    except LivedpoError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)


@contextmanager
def processes(jobs: int, threads: int, module: str) -> Iterator[ProcessPoolExecutor]:
    """So many processes, which import the module once and hold one task each: so its memory is its
    own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=context,
        max_tasks_per_child=1,
        initializer=_begin,
        initargs=(threads, dict(os.environ)),
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(threads: int, environment: Mapping[str, str]) -> None:
    """In a new process, whose own environment is of when the first pool was opened."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once and without a word
    os.environ.update(environment, TOKENIZERS_PARALLELISM="false")
    torch.set_num_threads(threads)
