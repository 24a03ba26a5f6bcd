"""Who goes next, of threads that wait for one another."""

import threading
from contextlib import ExitStack

import pytest

from labeler.store.turns import Turns
from tests.support.patience import wait_until


class Line:
    """Threads that wait for a turn, one behind the other."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.went: list[str] = []
        self._threads: list[threading.Thread] = []

    def join(self, name: str, *, first: bool = False) -> None:
        """Stand in line, and be there when this returns."""

        def go() -> None:
            with self.turns.turn(first=first):
                self.went.append(name)

        before = self._waiting()
        thread = threading.Thread(target=go)
        self._threads.append(thread)
        thread.start()
        wait_until(lambda: self._waiting() > before)

    def gone(self) -> list[str]:
        """In which order all of them went."""
        for thread in self._threads:
            thread.join()
        return self.went

    def _waiting(self) -> int:
        return len(self.turns._first) + len(self.turns._others)


def test_threads_go_in_the_order_they_came_but_first_ones_before_the_rest() -> None:
    line = Line()
    with line.turns.turn(first=False):
        for number in range(8):
            line.join(f"page {number}")
        line.join("vote 0", first=True)
        line.join("page 8")
        line.join("vote 1", first=True)
    assert line.gone() == ["vote 0", "vote 1", *(f"page {number}" for number in range(9))]


def test_a_turn_that_ends_in_an_error_is_passed_on() -> None:
    line = Line()

    def fail() -> None:
        with line.turns.turn(first=False):
            line.join("next")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert line.gone() == ["next"]
    with line.turns.turn(first=True):
        pass


@pytest.mark.parametrize("is_called", [False, True])
def test_whoever_is_interrupted_while_waiting_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, is_called: bool
) -> None:
    """Ctrl-C comes before the turn, or in the moment it is passed on."""
    line = Line()
    with ExitStack() as before:

        class Interrupted:
            """A lock on which the second wait ends in Ctrl-C."""

            def __init__(self) -> None:
                self.waits = 0

            def acquire(self) -> bool:
                self.waits += 1
                if self.waits == 2:
                    if is_called:
                        before.close()
                    raise KeyboardInterrupt
                return True

            def release(self) -> None:
                """Nobody is waiting on it."""

        before.enter_context(line.turns.turn(first=False))
        with monkeypatch.context() as patched:
            patched.setattr("labeler.store.turns.Lock", Interrupted)
            with pytest.raises(KeyboardInterrupt), line.turns.turn(first=False):
                pass
        if not is_called:
            line.join("next")
    with line.turns.turn(first=False):
        line.went.append("last")
    assert line.gone() == (["last"] if is_called else ["next", "last"])
