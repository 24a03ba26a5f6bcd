"""The docs say what is there: commands, options, make targets, files, links and pictures exist."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from labeler.cli.main import cli
from labeler.config.settings import Settings
from labeler.files.export.formats import EVERY_FORMAT
from labeler.store import open_store
from tests.support.command import livedpo
from tests.support.store import vote
from tests.support.tiny import fill

ROOT = Path(__file__).resolve().parent.parent
README = "README.md"
CONTRIBUTOR = "tests/README.md"
DOCS = {
    name: (ROOT / name).read_text()
    for name in (
        README,
        "labeler/README.md",
        "trainer/README.md",
        CONTRIBUTOR,
        "data/formats.md",
        "data/evidence/README.md",
        ".github/CONTRIBUTING.md",
    )
}
ALL = "\n".join(DOCS.values())
MAKEFILE = (ROOT / "Makefile").read_text()

every_doc = pytest.mark.parametrize("name", DOCS)


def commands(group: click.Group, path: str = "livedpo") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by what a user types."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(cli))


def flags() -> set[str]:
    """The options of all commands, and those of the benchmarks and the long runs."""
    ours = {
        flag
        for command in COMMANDS.values()
        for parameter in command.params
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }
    files = [*ROOT.glob("tests/benchmarks/**/*.py"), *ROOT.glob("tests/faults/**/*.py")]
    programs = "\n".join(path.read_text() for path in files)
    return ours | set(re.findall(r'"(--[a-z][a-z-]+)"', programs)) | {"--help"}


def code(text: str) -> list[str]:
    """What stands in code: blocks, and between backticks."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return blocks + re.findall(r"`([^`]+)`", rest)


def links(text: str) -> list[str]:
    """Where links and pictures lead, but for those that leave the project."""
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not link.startswith("http")]


def anchors(text: str) -> set[str]:
    """The names of the headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tree() -> list[str]:
    """The paths of the contributor's file tree."""
    block = re.search(r"```text\n(.*?)```", DOCS[CONTRIBUTOR], re.DOTALL)
    assert block
    paths: list[str] = []
    parents: list[str] = []
    for line in block.group(1).splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        parents = [*parents[:depth], name]
        paths.append("".join(parents))
    return paths


def test_the_readme_is_short() -> None:
    assert len(DOCS[README].splitlines()) <= 150


def test_the_readme_leads_to_every_other_doc() -> None:
    linked = {link.split("#")[0] for link in links(DOCS[README])}
    assert {name for name in DOCS if not name.startswith(".")} - {README} <= linked


def test_the_readme_knows_how_many_votes_make_an_update() -> None:
    """The one default that the docs repeat."""
    usual = Settings.model_fields["labels_per_update"].default
    assert f"After {usual} votes" in DOCS[README]


def test_every_key_of_the_page_is_in_the_readme_and_in_its_help() -> None:
    page = ROOT / "labeler/web/static/rating"
    keys = re.findall(r'\b([a-z]): "', (page / "keys.js").read_text())
    helped = (page / "help.js").read_text()
    assert len(keys) > 10
    assert [key for key in keys if f"`{key}`" not in DOCS[README]] == []
    assert [key for key in keys if f'["{key.upper()}"]' not in helped] == []


def test_everything_in_the_file_tree_exists() -> None:
    assert [path for path in tree() if not (ROOT / path).exists()] == []


def test_every_folder_of_modules_is_in_the_file_tree() -> None:
    folders = {
        f"{path.parent.relative_to(ROOT)}/"
        for folder in ("labeler", "trainer")
        for path in (ROOT / folder).glob("*/__init__.py")
    }
    assert folders - set(tree()) == set()


def test_the_top_level_holds_no_other_folder() -> None:
    run = ["git", "ls-tree", "-d", "--name-only", "HEAD"]
    folders = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    visible = {name for name in folders.split() if not name.startswith(".")}
    assert visible <= {"labeler", "trainer", "tests", "data"}


@every_doc
def test_every_file_that_a_doc_names_exists(name: str) -> None:
    named = set(re.findall(r"`((?:labeler|trainer|tests|data)/[\w./]+)`", DOCS[name]))
    assert [path for path in named if "/run/" not in path and not (ROOT / path).exists()] == []


@every_doc
def test_every_link_and_picture_leads_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    for link in links(DOCS[name]):
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else ROOT / name
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@every_doc
def test_every_command_that_a_doc_names_exists(name: str) -> None:
    for words in re.findall(r"livedpo ((?:[a-z][a-z-]* ?)+)", "\n".join(code(DOCS[name]))):
        first, *rest = words.split()
        assert first in cli.commands, words
        group = cli.commands[first]
        assert not isinstance(group, click.Group) or not rest or rest[0] in group.commands, words


def test_every_command_is_in_a_doc() -> None:
    typed = "\n".join(code(ALL))
    assert [command for command in COMMANDS if not re.search(rf"{command}\b", typed)] == []


@every_doc
def test_every_option_that_a_doc_names_exists(name: str) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", DOCS[name]))
    assert named - flags() == set()


def test_every_export_format_is_described() -> None:
    described = re.findall(r"^### ([a-z-]+)$", DOCS["data/formats.md"], re.MULTILINE)
    assert described == [*EVERY_FORMAT]


@every_doc
def test_every_make_target_that_a_doc_names_exists(name: str) -> None:
    typed = "\n".join(code(DOCS[name]))
    for target in re.findall(r"^make ([a-z-]+)", typed, re.MULTILINE):
        assert f"\n{target}:" in MAKEFILE, target


def test_a_backup_as_described_has_every_vote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, restore, _ = code(DOCS["labeler/README.md"].partition("## Backups")[2])[0].splitlines()
    monkeypatch.chdir(tmp_path)
    with closing(open_store("sqlite:///data/run/livedpo.sqlite")) as store:
        fill(store, 3)
        vote(store, 3)
        for line in (backup, restore):
            _, *words = shlex.split(line, comments=True)
            assert livedpo(*words).returncode == 0
    with closing(open_store("sqlite:///data/again/livedpo.sqlite", create=False)) as copy:
        assert len(copy.reports.votes()) == 3


def test_every_benchmark_is_in_the_contributors_doc() -> None:
    targets = re.findall(r"^(bench[a-z-]*|evidence):", MAKEFILE, re.MULTILINE)
    assert len(targets) > 5
    assert [target for target in targets if f"`make {target}`" not in DOCS[CONTRIBUTOR]] == []
