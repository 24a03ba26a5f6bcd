"""What the jobs of one worker share."""

from collections.abc import Callable
from dataclasses import dataclass

from labeler.config.settings import Settings
from labeler.store import Store
from labeler.store.rating.asks import ONLY
from trainer.policy.policy import Policy
from trainer.worker.between import Between
from trainer.worker.life import Clock
from trainer.worker.live import Live
from trainer.worker.stopwatch import Stopwatch
from trainer.worker.supply import Supply
from trainer.worker.weighing import Weighing

Say = Callable[[str], None]


@dataclass(frozen=True)
class Workplace:
    """`say` tells people what goes on; `clock` is for work that takes longer than a turn.

    `go_on` is for its pauses: it says so again, or raises Stopped. `between` lets people have what
    they wait for as well, so no adapter may be in use then. `asker` is in whose
    name asks are taken, `may_lag` how many versions old its pairs may be when they are queued.
    """

    store: Store
    policy: Policy
    settings: Settings
    live: Live
    supply: Supply
    stopwatch: Stopwatch
    weighing: Weighing
    say: Say
    go_on: Callable[[], None]
    between: Between
    clock: Clock
    asker: str = ONLY
    may_lag: int = 0
