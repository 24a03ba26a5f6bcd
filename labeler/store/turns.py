"""Turns: one thread at a time, those that people wait for before the others.

A plain lock goes to whoever happens to run when it is free, so where fifty pages fetch pairs at
once, as they do when a version has gone live, a vote may wait until all of them are through.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Turns:
    """Threads go one after the other in the order they came, but `first` ones before the rest."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._is_taken = False
        self._first: deque[Lock] = deque()
        self._others: deque[Lock] = deque()

    @contextmanager
    def turn(self, *, first: bool) -> Iterator[None]:
        """Wait for a turn, and have it; whoever has it must not ask for another one."""
        self._wait(self._first if first else self._others)
        try:
            yield
        finally:
            with self._guard:
                self._pass_on()

    def _wait(self, line: deque[Lock]) -> None:
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return
            called = Lock()
            called.acquire()
            line.append(called)
        is_next = False
        try:
            is_next = called.acquire()  # once the turn is passed on to this thread
        finally:
            if not is_next:  # Ctrl-C: nobody is to wait for who has left
                self._leave(called, line)

    def _leave(self, called: Lock, line: deque[Lock]) -> None:
        with self._guard:
            if called in line:
                line.remove(called)
            else:
                self._pass_on()

    def _pass_on(self) -> None:
        line = self._first or self._others
        if line:
            line.popleft().release()
        else:
            self._is_taken = False
