"""A user's Python function as a judge: `py:module:function`, importable from where one stands.

    def better(prompt: list[dict], first: str, second: str) -> float | None

It gives P(first is better) between 0 and 1; True and False are 1 and 0, None abstains. Whatever
else it does makes no verdict, and is told in the log once a kind.
"""

import importlib
import logging
import math
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

from labeler.domain.errors import BadInput, first_line
from labeler.domain.judging import Cause, Judgement, Question

log = logging.getLogger(__name__)


class FunctionJudge:
    """Asks a function of the user's."""

    waits = False
    one_by_one = True
    requests_spent = 0

    def __init__(self, spec: str) -> None:
        """Find the function of `py:module:function`. Raises BadInput if it is not there."""
        self.spec = spec
        self._function = _find(spec)
        self._told: set[str] = set()

    def close(self) -> None:
        """It waits for nobody."""

    def judge(
        self, questions: Sequence[Question], pause: Callable[[], None] | None = None
    ) -> list[Judgement]:
        """One judgement a question, each by one call. It takes no pause: `ask` does."""
        del pause
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Judgement:
        try:
            # A copy: what the function does to its arguments must not reach anyone else's.
            said = self._function(deepcopy(question.messages), question.first, question.second)
            if said is None:
                return Judgement(None, Cause.UNCLEAR)
            if isinstance(said, str):
                raise TypeError(f"it gave the text {said[:40]!r}")
            probability = float(said)
        except (Exception, SystemExit) as error:  # a user's code may raise anything, and may leave
            return self._failed(Cause.ERROR, type(error).__name__, f"raised: {first_line(error)}")
        if not math.isfinite(probability):
            return self._failed(Cause.NOT_FINITE, "not finite", f"gave {probability}")
        if not 0 <= probability <= 1:
            return self._failed(Cause.ERROR, "range", f"gave {probability}, not a value in [0, 1]")
        return Judgement(probability)

    def _failed(self, cause: Cause, kind: str, what: str) -> Judgement:
        if kind not in self._told:
            self._told.add(kind)
            log.warning("The judge '%s' %s (%s; told once).", self.spec, what, kind)
        return Judgement(None, cause)


def _find(spec: str) -> Callable[..., Any]:
    module_name, _, name = spec.removeprefix("py:").partition(":")
    module = _module(spec, module_name)
    function = getattr(module, name, None)
    if function is None:
        raise BadInput(f"The judge '{spec}' cannot be used: '{module_name}' has no '{name}'.")
    if not callable(function):
        raise BadInput(f"The judge '{spec}' cannot be used: '{name}' is no function.")
    found: Callable[..., Any] = function
    return found


def _module(spec: str, name: str) -> ModuleType:
    """The module, from the working directory first, where it may find others later too."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # and so may a module while it is imported
        raise BadInput(
            f"The judge '{spec}' cannot be used: {type(error).__name__}: {first_line(error)}"
        ) from error
    finally:
        sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)
