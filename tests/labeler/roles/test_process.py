"""What is left to see of a role that ended with an error."""

import pytest

from labeler.domain.errors import LivedpoError
from labeler.roles.process import reported
from labeler.store import Store
from tests.support.store import alarms


def test_a_role_that_ends_with_an_error_leaves_its_sentence_and_a_way_out(store: Store) -> None:
    with pytest.raises(LivedpoError), reported("worker", store):
        raise LivedpoError("The policy needs 40 GB of memory.")
    [alarm] = alarms(store)
    assert alarm.startswith("worker: The policy needs 40 GB of memory. It is tried again")
    assert "logs/worker.log" in alarm
    store.processes.recovered("worker")
    assert alarms(store) == []
