"""The README says what is there: its file tree, its commands, its settings, its picture."""

import re
from pathlib import Path

from labeler.cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def tree() -> list[str]:
    """The paths of the README's file tree."""
    block = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert block
    paths: list[str] = []
    parents: list[str] = []
    for line in block.group(1).splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        parents = [*parents[:depth], name]
        paths.append("".join(parents))
    return paths


def test_everything_in_the_file_tree_exists() -> None:
    assert [path for path in tree() if not (ROOT / path).exists()] == []


def test_every_folder_of_modules_is_in_the_file_tree() -> None:
    folders = {
        f"{path.parent.relative_to(ROOT)}/"
        for folder in ("labeler", "trainer")
        for path in (ROOT / folder).glob("*/__init__.py")
    }
    assert folders - set(tree()) == set()


def test_every_file_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`((?:labeler|trainer|tests|data)/[\w./]+)`", README))
    assert len(named) > 5
    assert [name for name in named if "/run/" not in name and not (ROOT / name).exists()] == []


def test_the_top_level_holds_no_other_folder() -> None:
    import subprocess

    run = ["git", "ls-tree", "-d", "--name-only", "HEAD"]
    folders = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    visible = {name for name in folders.split() if not name.startswith(".")}
    assert visible <= {"labeler", "trainer", "tests", "data"}


def test_the_commands_in_the_readme_exist() -> None:
    for words in re.findall(r"livedpo ((?:[a-z]+ ?)+)", README):
        first = words.split()[0]
        assert first in cli.commands, words


def test_the_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", README):
        if f"`make {target}" in README or f"\nmake {target}" in README:
            assert f"\n{target}:" in makefile, target


def test_the_picture_is_there() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file()
