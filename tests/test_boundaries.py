"""The layout: who may import whom, and which heavy imports stay out of which process."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CLOCKS = {"time.monotonic", "time.perf_counter", "time.process_time", "time.time"}
MODULES = sorted([*ROOT.glob("labeler/**/*.py"), *ROOT.glob("trainer/**/*.py")])


@cache
def imports(path: Path) -> set[str]:
    """Full names of all that a module imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            found.add(str(node.module))
    return found


def importers(prefix: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in MODULES
        if any(name == prefix or name.startswith(prefix + ".") for name in imports(path))
    }


# Which rooms each room may import from; no other rule is hidden in the tests below. The labeler's
# rooms stand on each other in the order of the table, and so do the trainer's.
LABELER = {
    "domain": set(),
    "config": {"domain"},
    "stats": {"domain"},
    "store": {"domain", "stats"},
    "files": {"domain", "config", "stats", "store"},
    "roles": {"domain", "config", "stats", "store", "files"},
    "web": {"domain", "config", "stats", "store", "files", "roles"},
    "cli": {"domain", "config", "stats", "store", "files", "roles"},
}
TRAINER = {
    "fast": set(),
    "policy": {"fast"},
    "sampling": {"fast", "policy"},
    "learning": {"fast", "policy"},
    "judge": {"fast", "policy", "sampling", "learning"},
    "gate": {"fast", "policy", "sampling", "learning"},
    "worker": {"fast", "policy", "sampling", "learning", "judge", "gate"},
    "programs": {"fast", "policy", "sampling", "learning", "judge", "gate", "worker"},
    "starter": set(),
}
# The rooms of the store stand on its loose modules, and on each other likewise.
STORE = {
    "engines": set(),
    "rating": set(),
    "people": {"rating"},
    "learning": {"rating", "people"},
    "views": {"rating", "people", "learning"},
}
# What a room of the trainer may use of the labeler; the first line is for each of them.
SHARED = {"domain", "config", "stats"}
KNOW_THE_STORE = {"worker", "programs"}
OF_THE_SERVICE = {"store", "files", "roles"}


def name_of(path: Path) -> str:
    """A module's full name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path) for path in MODULES}


def our_imports(path: Path) -> set[str]:
    """The modules of ours that this one imports."""
    return {name for name in imports(path) if name in NAMES}


def may_import(module: str, imported: str) -> bool:
    """Whether the tables allow it."""
    (top, room, *_), (other_top, other, *_) = module.split("."), [*imported.split("."), ""]
    if top == other_top:
        return other == room or other in (LABELER if top == "labeler" else TRAINER)[room]
    shared = SHARED | (OF_THE_SERVICE if room in KNOW_THE_STORE else set())
    return top == "trainer" and other in shared


def test_every_module_is_in_a_room_of_the_tables() -> None:
    rooms = {f"labeler.{room}" for room in LABELER} | {f"trainer.{room}" for room in TRAINER}
    lost = {name for name in NAMES if ".".join(name.split(".")[:2]) not in rooms}
    assert lost == {"labeler", "trainer"}


def test_imports_go_one_way() -> None:
    wrong = {
        (name_of(path), imported)
        for path in MODULES
        if name_of(path) not in ("labeler", "trainer")
        for imported in our_imports(path)
        if not may_import(name_of(path), imported)
    }
    assert wrong == set()


def test_imports_go_one_way_in_the_store() -> None:
    def room_of(module: str) -> str | None:
        return module.split(".")[2] if module.startswith(tuple(prefixes)) else None

    prefixes = [f"labeler.store.{room}." for room in STORE]
    assert not {
        (name_of(path), imported)
        for path in MODULES
        if (room := room_of(name_of(path))) is not None
        for imported in our_imports(path)
        if (other := room_of(imported)) not in (None, room) and other not in STORE[room]
    }


def test_only_the_choice_of_an_engine_knows_one() -> None:
    assert importers("labeler.store.engines") == {"labeler/store/database.py"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = {name_of(path): our_imports(path) for path in MODULES}
    while free := {name for name, used in known.items() if not used & known.keys() - {name}}:
        for name in free:
            del known[name]
    assert known == {}


def test_the_labeler_never_imports_a_model_library() -> None:
    for library in ("torch", "transformers", "peft"):
        assert not {path for path in importers(library) if path.startswith("labeler")}


def test_only_the_store_opens_a_database() -> None:
    for library in ("sqlalchemy", "sqlmodel", "alembic"):
        assert {
            path for path in importers(library) if not path.startswith("labeler/store/")
        } == set()


def test_the_loss_knows_only_torch() -> None:
    ours = {name.split(".")[0] for name in imports(ROOT / "trainer" / "learning" / "dpo.py")}
    assert ours == {"torch"}


@pytest.mark.parametrize("module", ["update", "batches", "examples", "reach", "steps", "team"])
def test_an_update_has_no_database_and_no_files(module: str) -> None:
    path = ROOT / "trainer" / "learning" / f"{module}.py"
    assert imports(path).isdisjoint({"pathlib", "sqlmodel", "os"})


def test_only_the_web_page_imports_gradio() -> None:
    assert all(path.startswith("labeler/web/") for path in importers("gradio"))


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        (
            "labeler.cli.main",
            [
                "sqlalchemy",
                "alembic",
                "torch",
                "gradio",
                "transformers",
                "datasets",
                "apscheduler",
                "matplotlib",
                "numpy",
            ],
        ),
        ("labeler.config.load", ["sqlalchemy", "sqlmodel", "alembic"]),
        ("labeler.roles.serve", ["torch", "gradio", "transformers", "datasets", "matplotlib"]),
        (
            "labeler.roles.unattended.run",
            ["torch", "gradio", "fastapi", "transformers", "matplotlib", "numpy", "scipy"],
        ),
        ("labeler.roles.scheduler", ["torch", "gradio", "transformers", "datasets"]),
        (
            "labeler.web.server",
            ["torch", "transformers", "peft", "trainer", "datasets", "matplotlib", "crowdkit"],
        ),
        (
            "trainer.worker.main",
            [
                *("gradio", "fastapi", "apscheduler", "matplotlib", "openai"),
                *("trainer.judge.api", "crowdkit", "krippendorff"),
            ],
        ),
    ],
)
def test_a_process_does_not_load_what_it_does_not_use(module: str, absent: list[str]) -> None:
    code = f"import gc, sys; gc.disable(); import {module}; "
    code += f"print([name for name in {absent} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_one_door_leads_to_the_terminal() -> None:
    """Elsewhere a stranger's text could reach it as it is. The starter's builder shows its own."""
    printing = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "click.echo"}
    }
    builder = {"trainer/starter/__main__.py", "trainer/starter/grammar.py"}
    assert printing - builder == {"labeler/roles/terminal.py"}


def names(node: ast.AST) -> set[str]:
    """The names in an expression, such as a tuple of exceptions."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


def test_only_an_update_and_a_users_own_code_may_raise_anything() -> None:
    broad = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or names(node.type) & {"Exception", "BaseException"})
    }
    assert broad == {"trainer/worker/jobs/update.py", "trainer/judge/function.py"}


def test_ctrl_c_is_never_swallowed_with_other_exceptions() -> None:
    assert not [
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or "BaseException" in names(node.type))
    ]


def reads_clock(node: ast.AST, known: set[str]) -> bool:
    """Whether a value is the clock's or worked out from it; `known` are variables that are.

    What is only handed to a function does not count: `now` is an argument of many verbs.
    """
    match node:
        case ast.Call():
            return ast.unparse(node.func) in CLOCKS
        case ast.Name():
            return node.id in known
    return any(reads_clock(child, known) for child in ast.iter_child_nodes(node))


def asserts_on_clock(function: ast.AST) -> bool:
    """Whether an assertion of this function compares what it read off a clock."""
    nodes = list(ast.walk(function))
    known: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Assign) and reads_clock(node.value, known):
            targets = [part for target in node.targets for part in ast.walk(target)]
            known |= {name.id for name in targets if isinstance(name, ast.Name)}
    return any(isinstance(node, ast.Assert) and reads_clock(node.test, known) for node in nodes)


def test_no_test_asserts_how_long_something_takes() -> None:
    """How fast it is, `tests/benchmarks` measure: a busy machine is no fault of the product."""
    guilty = {
        f"{path.relative_to(ROOT)}::{function.name}"
        for path in (ROOT / "tests").glob("**/*.py")
        if "benchmarks" not in path.parts
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef) and asserts_on_clock(function)
    }
    assert guilty == set()


def test_no_module_outgrows_a_screenful_of_nouns() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES
        if (lines := len(path.read_text().splitlines())) > 400 and path.name != "topics.py"
    }
    assert not long
