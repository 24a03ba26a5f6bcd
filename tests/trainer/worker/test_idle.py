"""A worker with nothing to do: it asks the database little, and misses nothing."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from labeler.config.settings import Settings
from labeler.domain.states import AskState
from labeler.roles.scheduler import open_due_update
from labeler.store import Store
from tests.support.store import live
from tests.support.tiny import Clock, worker_settings
from tests.support.worker import HandTurned, lease_all, vote_for_longer
from trainer.policy.policy import Policy
from trainer.worker.main import FIRST_IDLE_SECONDS, MAX_IDLE_SECONDS, rest_after
from trainer.worker.worker import Turn


@pytest.fixture
def clock() -> Clock:
    """It moves only when it is told to."""
    return Clock(1e6, step=0)


@pytest.fixture(params=[None, "py:tests.support.judges:steady"], ids=["people", "judge"])
def settings(request: pytest.FixtureRequest, tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(
        tiny_policy, tmp_path, queue_pairs=16, judge=request.param, judge_check_share=0.0
    )


@pytest.fixture
def worker(store: Store, policy: Policy, settings: Settings, clock: Clock) -> HandTurned:
    """A worker that has filled the queue, and has seen that there is nothing to do."""
    made = HandTurned(store, policy, settings, clock=clock)
    made.work()
    return made


@pytest.fixture
def queries() -> Iterator[list[str]]:
    """What the database is asked from now on, without the begin of transactions."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_an_idle_worker_asks_less_than_ten_queries_a_second(
    worker: HandTurned, clock: Clock, queries: list[str]
) -> None:
    began, rest = clock.now, FIRST_IDLE_SECONDS
    while clock.now - began < 60:
        assert not worker.step()
        clock.now += rest
        rest = rest_after(Turn.IDLE, rest)
    assert rest == MAX_IDLE_SECONDS
    assert len(queries) < 600
    assert rest_after(Turn.WORKED, rest) == FIRST_IDLE_SECONDS


def test_as_long_as_nothing_changes_a_look_is_one_query(
    worker: HandTurned, queries: list[str]
) -> None:
    worker.step()  # it may see what it wrote itself
    queries.clear()
    assert not worker.step()
    assert queries == ["PRAGMA data_version"]


def test_votes_an_ask_an_update_and_a_rollback_are_noticed_at_the_next_look(
    worker: HandTurned, store: Store, settings: Settings
) -> None:
    """While no time passes, so that nothing is due."""
    vote_for_longer(store, max(settings.labels_per_update, store.queue.ready() // 2))
    assert worker.step(), "the queue lacks pairs"
    worker.work()
    me = store.raters.local(now=1.0)
    asked = store.asks.add("a", rater_id=me, text="tea?", continues=None, now=1.0)
    assert asked is not None
    assert asked.state is AskState.WAITING
    assert worker.step()
    answered = store.asks.look(
        "a", rater_id=me, holder="t", gone=None, seconds=60, now=2.0, rng=random.Random(0)
    )
    assert answered is not None
    assert answered.state is AskState.READY
    worker.work()
    open_due_update(settings, store, now=2000.0)
    assert worker.step()
    assert live(store).id == 1
    worker.work()
    store.versions.make_live_again(0, now=2001.0)
    assert worker.step(), "the old version's pairs are sampled anew"
    assert {pair.version_id for pair in lease_all(store)} == {0}
