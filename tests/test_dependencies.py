"""What livedpo stands on: the lock is one of any machine, and nothing restricts who ships it."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.support.dependencies import COPYLEFT, FREE, LOCK, declared, licence, needed

ROOT = Path(__file__).resolve().parent.parent
HANDBOOK = (ROOT / "labeler" / "README.md").read_text()
LINES = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
PINNED = dict(line.split("==") for line in LINES)
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text()
    for part in ("labeler", "trainer")
    for path in sorted(ROOT.glob(f"{part}/**/*.py"))
    if path.stem not in ("__init__", "__main__", "env") and "versions" not in path.parts
}
# Imports each module where some packages are not installed; prints those that cannot be.
IMPORTS = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
for module in {modules}:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        print(module)
"""


def test_the_lock_holds_names_and_versions_and_nothing_of_one_machine() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
    assert list(PINNED) == sorted(PINNED)


def test_the_lock_names_all_that_is_installed_but_what_each_machine_builds_its_own_way() -> None:
    assert {name for name in needed() if not name.startswith(FREE)} <= set(PINNED)
    assert [name for name in PINNED if name.startswith(FREE)] == []


def test_the_lock_is_within_the_ranges_that_are_declared() -> None:
    outside = {
        str(each)
        for each in declared()
        if (version := PINNED.get(canonicalize_name(each.name))) and version not in each.specifier
    }
    assert outside == set()


def test_what_serve_installs_is_enough_for_all_but_the_writers_of_gguf_files() -> None:
    """The tests have more packages installed than `make serve`, and would not miss one."""
    there = {"livedpo", *needed(extras=("",))}
    imported = set(
        re.findall(r"^ *(?:from|import) (\w+)", "\n".join(MODULES.values()), re.MULTILINE)
    )
    absent = {
        name
        for name, packages in packages_distributions().items()
        if name in imported and not there & set(map(canonicalize_name, packages))
    }
    assert "gguf" in absent
    code = IMPORTS.format(absent=absent, modules=list(MODULES))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [
        f"trainer.programs.outgoing.{name}"
        for name in ("gguf_file", "gguf_vocabulary", "read_gguf")
    ]


def test_every_licence_is_known_and_in_the_handbook_and_none_restricts_who_ships_it() -> None:
    table = HANDBOOK[HANDBOOK.index("## Licences") :]
    listed = dict(re.findall(r"^\| ([^|]+) \| ([a-z0-9, -]+) \|$", table, re.MULTILINE))
    for name, package in needed(extras=("",)).items():
        said = licence(package)
        assert said, f"{name} does not say under which licence it is"
        assert not any(word in said for word in COPYLEFT), f"{name} is under {said}"
        if not name.startswith(FREE):
            assert name in listed[said].split(", "), f"{name} is missing under {said}"


def test_the_licence_of_each_script_that_is_vendored_lies_beside_it_and_is_in_the_handbook() -> (
    None
):
    folders = list((ROOT / "labeler/web/static/vendor").iterdir())
    assert folders
    for folder in folders:
        assert (folder / "LICENSE").is_file()
        assert folder.name in HANDBOOK[HANDBOOK.index("## Licences") :]
