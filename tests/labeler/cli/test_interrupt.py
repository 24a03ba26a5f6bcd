"""Ctrl-C while commands start: told apart by the module that has just been imported."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

START = "from labeler.cli.start import start; start()"
SCRIPT = (sys.executable, "-c", START)
MODULE = (sys.executable, "-m", "labeler.cli.main")


def interrupted(command: tuple[str, ...], module: str, folder: Path) -> tuple[int, list[str]]:
    """Exit code and words of a command that gets Ctrl-C once it has imported a module."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIVEDPO_")}
    with subprocess.Popen(
        [*command, "--data-dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=clean | {"PYTHONPROFILEIMPORTTIME": "1"},
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("import time:") and line.split("|")[-1].strip() == module:
                process.send_signal(signal.SIGINT)
                break
        said = [line for line in process.stderr if not line.startswith("import time:")]
    return process.returncode, said


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ((*SCRIPT, "serve"), "click"),
        ((*MODULE, "serve"), "labeler.config.settings"),
        ((*SCRIPT, "serve"), "sqlalchemy.engine"),
        ((*SCRIPT, "status"), "sqlmodel"),
    ],
)
def test_an_early_ctrl_c_ends_a_command_with_a_line(
    command: tuple[str, ...], module: str, tmp_path: Path
) -> None:
    assert interrupted(command, module, tmp_path) == (130, ["livedpo: Interrupted.\n"])


def test_a_role_that_is_still_importing_stops_as_soon_as_it_listens(tmp_path: Path) -> None:
    code, said = interrupted((*MODULE, "scheduler"), "apscheduler", tmp_path)
    assert code == 0
    assert not [line for line in said if "Traceback" in line]
