"""The names of torch and transformers that are nobody's promise: all are listed, and all exist."""

import ast
from functools import reduce
from pathlib import Path

import pytest
import torch
import transformers

from trainer.fast import PRIVATE_NAMES

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_a_private_name_that_we_use_is_in_the_installed_version(name: str) -> None:
    library, *attributes = name.split(".")
    found = {"torch": torch, "transformers": transformers}[library]
    assert reduce(getattr, attributes, found) is not None


def test_every_private_name_is_listed_with_the_modules_that_use_it() -> None:
    used = {
        (node.attr, ".".join(path.relative_to(ROOT).with_suffix("").parts))
        for path in ROOT.glob("trainer/*/**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and ast.unparse(node.value) != "self"
        and ast.unparse(node) != "os._exit"  # public, whatever it looks like
    }
    listed = {
        (name.split(".")[-1], module)
        for name, modules in PRIVATE_NAMES.items()
        for module in modules
    }
    assert used == listed
