"""What `livedpo serve` says until the first pair is there."""

import time
from pathlib import Path

from labeler.config.settings import Settings
from labeler.roles.serve import LONG_SECONDS, Announcer
from labeler.roles.supervisor import Supervisor
from labeler.store import Store


def test_a_start_that_takes_long_says_how_far_it_is(store: Store, tmp_path: Path) -> None:
    settings, said = Settings(data_dir=tmp_path), list[str]()
    supervisor = Supervisor(settings, store, said.append, ["web"])
    store.processes.say("worker", "Enough pairs are ready.", pid=1, now=1.0)  # an earlier one
    announcer = Announcer(settings, store, supervisor, said.append)
    begun = time.time()
    for seconds in (1, 2, LONG_SECONDS + 1):
        announcer.step(begun + seconds)
    store.processes.say("worker", "Loading the model: 40 % is read.", pid=2, now=begun + 12)
    announcer.step(begun + 2 * LONG_SECONDS + 1)
    assert [line.split(": ", 1)[1] for line in said] == [
        "The worker starts.",
        "Loading the model: 40 % is read.",
    ]
