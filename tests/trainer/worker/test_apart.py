"""A sampler and a trainer, each with a policy of its own, on one database and a tiny policy."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import fsspec
import pytest

from labeler.config.settings import Settings
from labeler.domain.adapter_folder import WEIGHTS
from labeler.domain.errors import BadInput
from labeler.domain.health import SILENT_SECONDS
from labeler.domain.report_keys import JUDGE, OF_DRAWING, TROUBLE
from labeler.roles.holding import LEASE_SECONDS, Holding, StopOrLost
from labeler.roles.scheduler import open_due_update
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.holders import SAMPLER, TRAINER
from labeler.store.tables import Ask, Pair
from tests.support.empty_store import new_store
from tests.support.patience import wait_until
from tests.support.store import alarms, last_update, live, rows, states
from tests.support.tiny import Clock, worker_settings
from tests.support.worker import PROMPTS, vote_for_longer
from tests.trainer.conftest import assert_measured, load
from trainer.policy.policy import Policy
from trainer.sampling.local import LocalSampler
from trainer.worker.assembly import make_sampler, make_trainer
from trainer.worker.jobs.rest import SAYS as RESTS
from trainer.worker.main import run_sampler
from trainer.worker.worker import Turn, Worker

N = 4


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(tiny_policy, tmp_path, queue_pairs=12)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chores(store: Store) -> Holding:
    return Holding(store, SAMPLER, holder="sampler a:1")


@pytest.fixture
def sampler(
    store: Store, policy: Policy, settings: Settings, clock: Clock, chores: Holding
) -> Iterator[Worker]:
    store.prompts.add(PROMPTS, now=1.0)
    made = new_sampler(store, policy, settings, clock, chores, "a")
    yield made
    made.close()


def new_sampler(
    store: Store, policy: Policy, settings: Settings, clock: Clock, chores: Holding, name: str
) -> Worker:
    return make_sampler(
        store,
        policy,
        LocalSampler(policy),
        settings,
        process=f"sampler {name}:1",
        name=name,
        chores=chores,
        stop=threading.Event(),
        clock=clock,
    )


class Trainer:
    """A trainer with a policy of its own that has the role by now, and its hold on it."""

    def __init__(self, store: Store, settings: Settings, clock: Clock, name: str = "a") -> None:
        looks = Clock(step=LEASE_SECONDS)
        self.holding = Holding(store, TRAINER, holder=f"trainer {name}:1", steady=looks)
        if not self.holding.turn(clock()):
            self.holding.turn(clock())
        store.updates.take_over(worker=self.holding.token)
        policy = load(Path(settings.policy))
        self.worker = make_trainer(
            store,
            policy,
            LocalSampler(policy),
            settings,
            process=f"trainer {name}:1",
            name=self.holding.token,
            stop=StopOrLost(threading.Event(), self.holding),
            clock=clock,
        )


def work(worker: Worker, clock: Clock) -> None:
    while worker.step(clock()) is Turn.WORKED:
        pass


def make_due(store: Store, sampler: Worker, settings: Settings, clock: Clock) -> None:
    work(sampler, clock)
    vote_for_longer(store, N)
    open_due_update(settings, store, clock())


def test_a_trainer_at_rest_gives_signs_of_life(
    store: Store, sampler: Worker, settings: Settings, clock: Clock
) -> None:
    trainer = Trainer(store, settings, clock)
    make_due(store, sampler, settings, clock)
    for _ in range(3):
        work(trainer.worker, clock)
        clock.now += SILENT_SECONDS
    work(trainer.worker, clock)
    said = {each.name: each for each in store.processes.all()}["trainer a:1"]
    assert said.says == RESTS
    assert clock() - (said.beat_at or 0.0) < SILENT_SECONDS


def test_a_sampler_draws_a_trainer_learns_and_pairs_of_the_new_version_follow(
    store: Store, database: Database, sampler: Worker, settings: Settings, clock: Clock
) -> None:
    trainer = Trainer(store, settings, clock)
    work(trainer.worker, clock)
    assert store.queue.ready() == 0, "a trainer draws for nobody"
    make_due(store, sampler, settings, clock)
    work(sampler, clock)
    assert states(store) == ["live"], "a sampler learns nothing"
    work(trainer.worker, clock)
    assert states(store) == ["retired", "live"]
    assert store.reports.status(max_staleness=2)["labels"]["used"] == N
    before = len(rows(database, Pair, Pair.version_id == 1))
    assert before > 0, "the first pairs came with the promotion"
    for _ in range(3):
        vote_for_longer(store, 4)
    work(sampler, clock)
    assert len(rows(database, Pair, Pair.version_id == 1)) > before
    assert alarms(store) == []


def test_what_a_lagging_sampler_draws_carries_the_version_that_drew_it(
    store: Store,
    database: Database,
    sampler: Worker,
    policy: Policy,
    settings: Settings,
    clock: Clock,
) -> None:
    make_due(store, sampler, settings, clock)
    work(Trainer(store, settings, clock).worker, clock)
    folder = settings.adapters_dir / str(live(store).folder)
    away = folder.rename(folder.with_name("not-there-yet"))
    known = {pair.id for pair in rows(database, Pair)}
    vote_for_longer(store, store.queue.ready())
    work(sampler, clock)
    drawn = [pair for pair in rows(database, Pair) if pair.id not in known]
    assert drawn
    assert {pair.version_id for pair in drawn} == {0}
    assert_measured(policy, drawn[0])
    away.rename(folder)
    vote_for_longer(store, store.queue.ready())
    work(sampler, clock)
    newest = rows(database, Pair)[-1]
    assert newest.version_id == 1
    assert_measured(policy, newest)


def test_a_lagging_sampler_draws_nothing_of_a_version_that_was_done_away_with(
    store: Store, database: Database, sampler: Worker, settings: Settings, clock: Clock
) -> None:
    make_due(store, sampler, settings, clock)
    work(Trainer(store, settings, clock).worker, clock)
    work(sampler, clock)  # has version 1
    store.versions.make_live_again(0, now=clock())
    assert store.versions.goes_on(0, max_staleness=2)
    assert not store.versions.goes_on(1, max_staleness=2)


def test_a_trainer_that_was_overtaken_in_training_promotes_nothing_and_leaves_no_folder(
    store: Store,
    sampler: Worker,
    settings: Settings,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Trainer(store, settings, clock)
    make_due(store, sampler, settings, clock)
    promote, seconds = store.updates.promote, []

    def overtaken(*words: object, **more: object) -> None:
        if not seconds:  # the first one stands still here, for as long as it takes
            seconds.append(Trainer(store, settings, clock, "b"))
            work(seconds[0].worker, clock)
        promote(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(store.updates, "promote", overtaken)
    work(first.worker, clock)
    assert states(store) == ["retired", "live"]
    assert last_update(store).worker == seconds[0].holding.token
    assert last_update(store).attempt == 2
    assert store.reports.status(max_staleness=2)["labels"]["used"] == N
    first.holding.turn(clock())
    assert first.worker.is_over()
    seconds[0].worker.close()
    Trainer(store, settings, clock, "c")  # who starts cleans up
    assert [path.name for path in settings.adapters_dir.iterdir()] == [live(store).folder]


def test_what_only_one_sampler_may_do_is_done_by_the_one_that_has_the_role(
    store: Store, policy: Policy, sampler: Worker, settings: Settings, clock: Clock, chores: Holding
) -> None:
    other = Holding(store, SAMPLER, holder="sampler b:1")
    idle = new_sampler(store, load(Path(settings.policy)), settings, clock, other, "b")
    assert chores.turn(clock())
    assert not other.turn(clock())
    [chore] = [job for job in sampler.jobs if type(job).__name__ == "ChoresJob"]
    [idle_chore] = [job for job in idle.jobs if type(job).__name__ == "ChoresJob"]
    done: list[str] = []

    class Noted:
        def __init__(self, name: str) -> None:
            self.name = name

        def step(self, now: float) -> bool:
            done.append(self.name)
            return True

    chore._jobs, idle_chore._jobs = [Noted("a")], [Noted("b")]  # type: ignore[attr-defined]
    assert chore.step(clock())
    assert not idle_chore.step(clock())
    assert done == ["a"]
    idle.close()


def test_an_ask_of_a_sampler_that_died_is_answered_by_another_and_the_dead_ones_answer_is_dropped(
    store: Store, database: Database, sampler: Worker, clock: Clock
) -> None:
    me = store.raters.local(now=1.0)
    work(sampler, clock)
    store.asks.add("ask", rater_id=me, text="tea?", continues=None, now=clock())
    assert store.asks.take(8, now=clock(), worker="dead")
    work(sampler, clock)
    assert rows(database, Ask)[0].state == "sampling", "it may live"
    clock.now += 120.0
    work(sampler, clock)
    [ask] = rows(database, Ask)
    assert (ask.state, ask.worker, ask.tries) == ("ready", "a", 2)
    store.asks.refuse("ask", "too late", now=clock(), worker="dead")
    assert rows(database, Ask)[0].reason is None


def test_a_sampler_that_starts_forgets_what_an_earlier_one_reported_and_not_what_a_worker_did(
    store: Store, policy: Policy, settings: Settings, clock: Clock, chores: Holding
) -> None:
    store.prompts.add(PROMPTS, now=1.0)
    for key in (*OF_DRAWING, JUDGE, TROUBLE.format("worker")):
        store.processes.alarm(key, "It is so.")
    new_sampler(store, policy, settings, clock, chores, "a").close()
    [left] = alarms(store)
    assert left.startswith("worker: It is so."), "its way out is another"


def apart(settings: Settings, machine: str, url: str) -> Settings:
    """The settings of a machine of its own, with a data dir of its own."""
    folder = settings.data_dir / machine
    return settings.model_copy(update={"data_dir": folder, "versions_url": url})


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_over_a_url_a_sampler_takes_up_a_version_once_it_is_whole_and_draws_meanwhile(
    store: Store,
    database: Database,
    policy: Policy,
    settings: Settings,
    clock: Clock,
    chores: Holding,
    tmp_path: Path,
    kind: str,
) -> None:
    url = f"{kind}://{tmp_path / 'versions'}"
    here, there = apart(settings, "sampler", url), apart(settings, "trainer", url)
    store.prompts.add(PROMPTS, now=1.0)
    sampler = new_sampler(store, policy, here, clock, chores, "a")
    make_due(store, sampler, here, clock)
    work(Trainer(store, there, clock).worker, clock)
    name = str(live(store).folder)
    files, root = fsspec.core.url_to_fs(url)
    assert (there.adapters_dir / name).is_dir()
    files.mv(f"{root}/{name}/{WEIGHTS}", f"{root}/late")  # the store lags
    vote_for_longer(store, store.queue.ready())
    known = len(rows(database, Pair))
    work(sampler, clock)
    drawn = rows(database, Pair)[known:]
    assert {pair.version_id for pair in drawn} == {0}
    assert_measured(policy, drawn[0])
    assert not (here.adapters_dir / name).exists()
    files.mv(f"{root}/late", f"{root}/{name}/{WEIGHTS}")

    def follows() -> bool:
        vote_for_longer(store, store.queue.ready())
        work(sampler, clock)
        return rows(database, Pair)[-1].version_id == 1 and policy.adapter_with(1) is not None

    wait_until(follows, "pairs of the new version")
    assert (here.adapters_dir / name).is_dir()
    assert_measured(policy, rows(database, Pair)[-1])
    sampler.close()


def test_a_standby_on_another_machine_goes_on_from_what_was_published(
    store: Store,
    policy: Policy,
    settings: Settings,
    clock: Clock,
    chores: Holding,
    tmp_path: Path,
) -> None:
    url = f"file://{tmp_path / 'versions'}"
    here = apart(settings, "sampler", url)
    store.prompts.add(PROMPTS, now=1.0)
    sampler = new_sampler(store, policy, here, clock, chores, "a")
    for machine, versions in (("one", 2), ("other", 3)):
        make_due(store, sampler, here, clock)
        work(Trainer(store, apart(settings, machine, url), clock, machine).worker, clock)
        assert len(states(store)) == versions
    sampler.close()


def test_a_place_of_another_service_is_refused(
    store: Store, policy: Policy, settings: Settings, clock: Clock, tmp_path: Path
) -> None:
    url = f"file://{tmp_path / 'versions'}"
    Trainer(store, apart(settings, "trainer", url), clock)
    with (
        closing(new_store(f"sqlite:///{tmp_path / 'other.sqlite'}")) as other,
        pytest.raises(BadInput, match="belongs to another service"),
    ):
        Trainer(other, apart(settings, "trainer", url), clock)


def test_what_no_version_needs_any_more_goes_from_the_url_and_from_samplers(
    store: Store,
    policy: Policy,
    settings: Settings,
    clock: Clock,
    chores: Holding,
    tmp_path: Path,
) -> None:
    url = f"file://{tmp_path / 'versions'}"
    keeps = settings.model_copy(update={"keep_versions": 1})
    here = apart(keeps, "sampler", url)
    store.prompts.add(PROMPTS, now=1.0)
    sampler = new_sampler(store, policy, here, clock, chores, "a")
    trainer = Trainer(store, apart(keeps, "trainer", url), clock)
    (tmp_path / "versions" / "v0009-0a1b2c3d").mkdir()  # of a trainer that died before its row
    for _ in range(3):
        make_due(store, sampler, here, clock)
        work(trainer.worker, clock)
        wait_until(lambda: (work(sampler, clock), policy.adapter_with(live(store).id))[1])
    needed = {row.folder for row in store.versions.all() if row.folder and row.pruned_at is None}
    assert len(needed) == 2, "the live one and its parent"
    at_the_url = {path.name for path in (tmp_path / "versions").iterdir() if path.is_dir()}
    assert at_the_url == needed
    fetched = {path.name for path in here.adapters_dir.iterdir() if path.is_dir()}
    assert fetched == needed
    sampler.close()


@contextmanager
def a_sampler(settings: Settings, store: Store) -> Iterator[None]:
    """One at work, on a thread of its own."""
    stop = threading.Event()
    thread = threading.Thread(target=run_sampler, args=(settings, store, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_sampler_draws_only_while_no_worker_is_at_work(store: Store, settings: Settings) -> None:
    store.prompts.add(PROMPTS, now=1.0)
    worker, stop = Holding(store, TRAINER, holder="worker"), threading.Event()

    def stands_by() -> bool:
        return any("a worker draws pairs" in process.says for process in store.processes.all())

    with ExitStack() as at_work:
        with worker.kept_up(stop):
            wait_until(lambda: worker.is_held, "the role")
            at_work.enter_context(a_sampler(settings, store))
            wait_until(stands_by, "the sampler stands by")
            assert store.queue.ready() == 0
        wait_until(lambda: store.queue.ready() > 0, "pairs, once the worker has ended")
        wait_until(lambda: not stands_by(), "what it does now")
        with worker.kept_up(stop):
            wait_until(stands_by, "it stands by again")
