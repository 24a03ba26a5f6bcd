"""The door to the terminal."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from labeler.roles.terminal import say, tell

HOSTILE = r"\x1b]0;owned\x07 \u202e \ud800 ä"
BUG = f"""
from labeler.roles.terminal import show_bugs, tell
show_bugs()
tell("{HOSTILE}")
raise RuntimeError("{HOSTILE}")
"""


def test_nothing_that_steers_a_terminal_gets_through_whatever_its_alphabet() -> None:
    run = subprocess.run(
        [sys.executable, "-c", BUG], capture_output=True, env={"PYTHONIOENCODING": "ascii"}
    )
    told = rb"\x1b]0;owned\x07 \u202e \ud800 \xe4"
    assert run.stdout.rstrip() == told
    assert run.stderr.rstrip().endswith(b"RuntimeError: " + told)
    assert run.stderr.replace(b"\n", b"").decode("ascii").isprintable()


def test_a_service_goes_on_where_there_is_no_room_for_what_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        say("The first pair is ready.")
        with pytest.raises(OSError, match="No space left"):  # what a command prints is its result
            tell("12 rows")
