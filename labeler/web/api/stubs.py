"""Gradio is imported in half the time if it does not write the type stubs of its components again.

Each time, Gradio parses the source of each component and renders a `.pyi` beside it, for editors. A
class whose file is not known gets none.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_stubs() -> Iterator[None]:
    """While Gradio is imported, no class has a file."""
    file_of = inspect.getfile

    def no_class(thing: Any) -> str:
        if inspect.isclass(thing):
            raise OSError("no stub is wanted")
        return file_of(thing)

    inspect.getfile = no_class  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = file_of
