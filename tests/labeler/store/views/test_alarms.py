"""Page, dashboard and `status` show one list of alarms."""

from labeler.domain.health import Disk
from labeler.domain.report_keys import LOST_FOLDER
from labeler.store import Store
from tests.support.store import RULES, alarms
from tests.support.tiny import fill

NOW = 5000.0
FULL = Disk(free=10**8, total=10**11)


def test_page_dashboard_and_status_show_the_same(store: Store) -> None:
    fill(store, 2)
    store.processes.say("web", "Serving.", pid=1, now=NOW)
    store.processes.say("worker", "Sampling pairs.", pid=2, now=NOW - 40)
    store.processes.alarm(LOST_FOLDER.format("worker"), "the folder v0001 is gone")
    status = store.reports.alarms(now=NOW, disk=FULL)
    folder, silent, disk = status
    assert folder.startswith("worker: The folder v0001 is gone. Put the folder back")
    assert "worker has given no sign of life for 40 seconds" in silent
    assert "0.1 GB free" in disk
    assert store.reports.shown_to_all(RULES, now=NOW, disk=FULL)["alarms"] == status
    assert store.dashboard.now(RULES, now=NOW, disk=FULL).alarms == status


def test_a_new_process_takes_back_what_an_earlier_one_reported_and_nothing_else(
    store: Store,
) -> None:
    for key in ("worker: trouble", "worker: pairs", "worker", "scheduler: tidy", "worker2: x"):
        store.processes.alarm(key, key)
    store.processes.recovered("worker")
    left = {sentence.split(":")[0] for sentence in alarms(store)}
    assert left == {"worker", "scheduler", "worker2"}
    assert len(alarms(store)) == 3
