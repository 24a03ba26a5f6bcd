"""The layout: who may import whom, and which heavy imports stay out of which process."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted([*ROOT.glob("labeler/**/*.py"), *ROOT.glob("trainer/**/*.py")])


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


def test_the_labeler_never_imports_the_trainer_or_a_model_library() -> None:
    for library in ("trainer", "torch", "transformers", "peft"):
        assert not {path for path in importers(library) if path.startswith("labeler")}


def test_only_the_store_opens_a_database() -> None:
    for library in ("sqlalchemy", "sqlmodel", "alembic"):
        outside = {path for path in importers(library) if not path.startswith("labeler/store")}
        assert outside <= {"labeler/tables.py"}


def test_of_the_trainer_only_what_runs_knows_the_store() -> None:
    """The worker with its supply of prompts and its judge, and what trains or merges by itself."""
    users = {path for path in importers("labeler.store") if path.startswith("trainer")}
    known = ("worker", "supply", "asking", "fallback", "edits", "offline", "merge")
    assert users == {f"trainer/{name}.py" for name in known}


def test_the_loss_knows_only_torch() -> None:
    ours = {name.split(".")[0] for name in imports(ROOT / "trainer" / "dpo.py")}
    assert ours == {"torch"}


def test_an_update_has_no_database_and_no_files() -> None:
    assert imports(ROOT / "trainer" / "update.py").isdisjoint({"pathlib", "sqlmodel", "os"})


def test_only_the_web_page_imports_gradio() -> None:
    assert all(path.startswith("labeler/web/") for path in importers("gradio"))


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        (
            "labeler.cli",
            ["torch", "gradio", "transformers", "datasets", "apscheduler", "matplotlib", "numpy"],
        ),
        ("labeler.serve", ["torch", "gradio", "transformers", "datasets", "matplotlib"]),
        ("labeler.unattended.run", ["torch", "gradio", "fastapi", "transformers", "matplotlib"]),
        ("labeler.schedule", ["torch", "gradio", "transformers", "datasets"]),
        (
            "labeler.web.role",
            ["torch", "transformers", "trainer", "datasets", "matplotlib", "crowdkit"],
        ),
        ("trainer.worker", ["gradio", "fastapi", "apscheduler", "matplotlib", "openai"]),
        ("trainer.worker", ["trainer.judge.api", "crowdkit", "krippendorff"]),
    ],
)
def test_a_process_does_not_load_what_it_does_not_use(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {absent} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_only_an_update_and_a_users_own_code_may_raise_anything() -> None:
    broad = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    }
    assert broad == {"trainer/worker.py", "trainer/judge/function.py"}


def test_no_module_outgrows_a_screenful_of_nouns() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES
        if (lines := len(path.read_text().splitlines())) > 400 and path.name != "topics.py"
    }
    assert not long
