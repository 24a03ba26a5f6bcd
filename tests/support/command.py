"""The command line as a user types it, without the second that a process of its own takes."""

import io
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from labeler.cli import main as command_line
from labeler.config.load import PREFIX


@dataclass(frozen=True)
class Ran:
    """What a command has printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def livedpo(*words: object, **environment: str) -> Ran:
    """`livedpo` with these words and this environment; not for what goes on as another module."""
    return run(command_line.main, "livedpo", *words, **environment)


def run(program: Callable[[], None], *words: object, **environment: str) -> Ran:
    """The `main` of a module, as a process that is told these words would run it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    code: object = 0
    with (
        patch.dict(os.environ, clean | environment, clear=True),
        patch("sys.argv", [str(word) for word in words]),
        patch("os.execve", side_effect=AssertionError("it would become another program")),
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        try:
            program()
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    return Ran(code, out.getvalue(), err.getvalue())


def fails(run: Ran, code: int, words: str) -> None:
    """One sentence on stderr that holds `words`, nothing else, and the exit code."""
    assert run.returncode == code, run.stderr
    assert words in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert run.stdout == ""
