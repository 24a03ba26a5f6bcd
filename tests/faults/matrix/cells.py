"""The table: which fault of which process in which state, but for what makes no sense."""

from dataclasses import dataclass
from itertools import product

PROCESSES = ("web", "scheduler", "worker", "supervisor")
STATES = ("idle", "sampling", "training", "gating", "promoting", "voting")
FAULTS = {
    "frozen 8 s": 8.0,
    "frozen 60 s": 60.0,
    "kill -9": 0.0,
    "no memory": 10.0,
    "no file handles": 10.0,
    "disk full": 10.0,
    "read-only": 10.0,
    "clock +1 h": 10.0,
    "clock -1 h": 10.0,
    "adapter gone": 20.0,
    "database busy": 20.0,
}  # with the seconds that each lasts
# What befalls a file befalls every process that reads it: one row, not four.
OF_ALL = {"adapter gone": "worker", "database busy": "web"}
# After so long without a word, or without the live version's folder, there must be an alarm.
ALARMING = {"frozen 60 s": ("web", "scheduler", "worker"), "adapter gone": ("worker",)}


@dataclass(frozen=True)
class Cell:
    """One question: does the promise hold?"""

    process: str
    fault: str
    state: str

    @property
    def name(self) -> str:
        return f"{self.process}, {self.fault}, {self.state}"

    @property
    def must_alarm(self) -> bool:
        """Whether somebody has to be told."""
        return self.process in ALARMING.get(self.fault, ())


def makes_sense(cell: Cell) -> bool:
    """The rule: a file has one row, that of the process which needs it most."""
    return OF_ALL.get(cell.fault, cell.process) == cell.process


CELLS = [
    cell
    for fault, process, state in product(FAULTS, PROCESSES, STATES)
    if makes_sense(cell := Cell(process, fault, state))
]
