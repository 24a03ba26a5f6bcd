"""What stands between the labels that people gave and the next update."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Standstill:
    """While no update is open: `due` labels of the `wanted` ones bring the next one nearer.

    `labels` are all that were given since the last one opened. Among them are `ties` (or both bad)
    that teach nothing, `stale` ones on replies of versions that are too old, `aside` ones on pairs
    that a person set aside, and `alone`, which wait for the votes of others. The last `kept_back`
    updates were, for this `reason`. After one that ended, another waits `seconds_left`;
    `has_failed` says that it is tried again then.
    """

    wanted: int
    due: int
    labels: int = 0
    ties: int = 0
    stale: int = 0
    aside: int = 0
    alone: int = 0
    kept_back: int = 0
    reason: str = ""
    seconds_left: float = 0.0
    has_failed: bool = False
    is_judge_paused: bool = False
