"""The store beside a model of it: whatever happens in whatever order, both hold the same.

`make soak-store` goes on where this ends. The model is in `tests/support/model/`.
"""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from labeler.store import Store
from labeler.store.database import Database
from tests.support.model.machine import StoreMachine

RUNS = 16
RULES = 80


def test_whatever_happens_the_store_holds_what_the_model_does(
    store: Store, database: Database, url: str
) -> None:
    """A quarter of the runs over a server, where each statement takes longer."""
    run_state_machine_as_test(
        lambda: StoreMachine(store, database),
        settings=settings(
            max_examples=RUNS if url.startswith("sqlite") else RUNS // 4,
            stateful_step_count=RULES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
