"""What `status` and the dashboard count is the same."""

from labeler.store import Store
from tests.support.store import RULES, N, claim, lease, make_version, open_update, vote
from tests.support.tiny import fill


def test_status_and_the_dashboard_count_alike(store: Store) -> None:
    fill(store, 3 * N)
    make_version(store, 1)
    vote(store, N, now=1030.0)
    vote(store, 2, now=1031.0, choice="skip")
    lease(store, seconds=1e6, now=1032.0)
    open_update(store, 1040.0)
    store.updates.fail(claim(store, now=1041.0), reason="the disk is full", now=1042.0)

    status = store.reports.status(max_staleness=RULES.max_staleness, votes=RULES.votes)
    now, totals = store.dashboard.now(RULES, now=1e5), store.dashboard.totals()
    assert status["labels"] == {"human": 2 * N, "judge": 0, "fresh": N, "used": N}
    assert (totals.human, totals.judge, totals.used) == (2 * N, 0, N)
    assert now.fresh == N
    assert status["updates"] == {"done": 1, "rejected": 0, "failed": 1, "running": 0}
    assert status["pairs"]["leased"] == now.leased == 1
    assert status["pairs"]["labelled"] == totals.labelled == 2 * N
    assert status["pairs"]["expired"] == totals.expired
