import subprocess
import sys
from pathlib import Path

from labeler.roles import START
from tests.support.service import settings_environment

ROLE = """
import gc
import sys

from labeler.roles.process import run_role

before = gc.isenabled()
run_role("probe", lambda *_: print(before, gc.isenabled(), gc.get_freeze_count() > 0, sys.argv[1:]))
"""


def test_garbage_is_collected_from_when_a_role_is_imported(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(ROLE)
    run = subprocess.run(
        [sys.executable, "-m", START, "probe", "a", "b"],
        env=settings_environment(data_dir=tmp_path) | {"PYTHONPATH": f"{tmp_path}:."},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "False True True ['a', 'b']"
