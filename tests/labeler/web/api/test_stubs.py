import importlib.util
import inspect
import sys
from pathlib import Path

import gradio as gr
import pytest

from labeler.web.api.stubs import without_stubs

COMPONENT = """
import gradio

class Mark(gradio.Label):
    EVENTS = ["change"]
"""


def load(folder: Path) -> None:
    """Import a module that has a component of its own, as Gradio imports its own ones."""
    spec = importlib.util.spec_from_file_location("mark", folder / "mark.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "mark", module)
        spec.loader.exec_module(module)


def test_gradio_writes_a_stub_of_a_component_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "mark.py").write_text(COMPONENT)
    with without_stubs():
        load(tmp_path)
    assert not (tmp_path / "mark.pyi").exists()
    load(tmp_path)
    assert (tmp_path / "mark.pyi").exists()


def test_afterwards_classes_have_their_files_again() -> None:
    assert inspect.getfile(gr.Label).endswith("label.py")
