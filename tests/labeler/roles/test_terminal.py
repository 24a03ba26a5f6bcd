"""The door to the terminal."""

import subprocess
import sys

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
