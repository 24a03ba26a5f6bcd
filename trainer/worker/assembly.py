"""The jobs of each role, put together: a worker has all of them, sampler and trainer a part each.

    worker   =  ask, update, edit, judge, follow up, sample, fill
    sampler  =  ask, sample; and of all samplers one: edit, judge, follow up
    trainer  =  update, fill

A sampler needs the policy and trains nothing. A trainer serves nobody, so nothing interrupts its
updates. Both know one another by the database alone.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from labeler.config.settings import Settings
from labeler.domain.judging import Judge
from labeler.domain.report_keys import JUDGE, NO_END_OF_TURN, OF_DRAWING
from labeler.files.hints import read_hints
from labeler.files.shelf import shelf_of
from labeler.roles.holding import Holding
from labeler.store import Store
from labeler.store.rating.asks import ONLY
from trainer.gate.examine import Examiner
from trainer.judge.features import Features
from trainer.judge.learned import LearnedJudge
from trainer.judge.load import load_judge
from trainer.learning.ranks.launch import refuse_missing_launcher
from trainer.policy.adapters import remove_unfinished
from trainer.policy.policy import Policy
from trainer.policy.turn_end import NO_END
from trainer.sampling.local import refuse_small_context
from trainer.sampling.recommended import as_recommended
from trainer.sampling.sampler import Sampler
from trainer.worker.between import Between
from trainer.worker.hearing import Hearing
from trainer.worker.jobs.ask import AskJob
from trainer.worker.jobs.chores import ChoresJob
from trainer.worker.jobs.edit import EditJob
from trainer.worker.jobs.fill import FillJob
from trainer.worker.jobs.follow_up import FollowUpJob
from trainer.worker.jobs.judge import JudgeJob
from trainer.worker.jobs.rest import RestJob
from trainer.worker.jobs.sample import SampleJob
from trainer.worker.jobs.update import UpdateJob
from trainer.worker.life import ROLE, Clock, SignOfLife
from trainer.worker.live import Live
from trainer.worker.news import News
from trainer.worker.stopwatch import Stopwatch
from trainer.worker.supply import Supply
from trainer.worker.weighing import Weighing
from trainer.worker.worker import Job, Worker
from trainer.worker.workplace import Workplace


@dataclass(frozen=True)
class _Bench:
    """What the jobs of a process are made of."""

    place: Workplace
    news: News
    judge: Judge | None

    def judging(self) -> JudgeJob | None:
        """The job of the judge, if there is one."""
        if self.judge is None:
            return None
        return JudgeJob(
            self.place.store,
            self.judge,
            self.place.settings,
            clock=self.place.clock,
            say=self.place.say,
            stopwatch=self.place.stopwatch,
            weighing=self.place.weighing,
            wake=self.news.wake.set,
            between=self.place.between,
        )

    def filling(self, *, people_wait: bool) -> FillJob | None:
        """The job that draws pairs which nobody rates, if that is wanted."""
        if not self.place.settings.fill:
            return None
        judge = self.judge
        features = (
            judge.features if isinstance(judge, LearnedJudge) else Features(self.place.policy)
        )
        return FillJob(self.place, features, people_wait=people_wait)


def make_worker(
    store: Store,
    policy: Policy,
    sampler: Sampler,
    settings: Settings,
    *,
    name: str,
    stop: threading.Event,
    clock: Clock = time.time,
) -> Worker:
    """Register the base policy, take up the live version, and put the jobs in order.

    Raises LivedpoError.
    """
    bench = _bench(store, policy, sampler, settings, stop=stop, clock=clock)
    place = bench.place
    _start_to_sample(place)
    remove_unfinished(settings.adapters_dir)
    store.processes.alarm(JUDGE, None)
    judging = bench.judging()
    ask, sample = _serving(place)
    fill = bench.filling(people_wait=True)
    update = UpdateJob(
        place,
        Examiner(policy, place.settings, bench.judge),
        name=name,
        stop=stop,
        spent=judging.note_requests if judging else lambda: None,
        fill=fill,
        unique=settings.versions_url is not None,
    )
    update.prune()
    shown = None if settings.unattended else FollowUpJob(place, sample.is_short)
    jobs: list[Job | None] = [ask, update, EditJob(place), judging, shown, sample, fill]
    closing = [update.spend, *([judging.close] if judging else [])]
    return Worker(place.live, [job for job in jobs if job is not None], bench.news, closing)


def make_sampler(
    store: Store,
    policy: Policy,
    sampler: Sampler,
    settings: Settings,
    *,
    process: str,
    name: str,
    chores: Holding,
    stop: threading.Event,
    clock: Clock = time.time,
    is_over: Callable[[], bool] = lambda: False,
) -> Worker:
    """What of a worker draws pairs. `chores` is the role that one of all samplers has, `name` a
    token of this one, in whose name it takes asks; `is_over` says when another draws in its place.

    Raises LivedpoError.
    """
    bench = _bench(
        store,
        policy,
        sampler,
        settings,
        stop=stop,
        clock=clock,
        process=process,
        asker=name,
        may_lag=settings.served_staleness,
    )
    place, judging = bench.place, bench.judging()
    _start_to_sample(place)
    if judging is None:
        store.processes.alarm(JUDGE, None)  # with a judge, who takes the chores up forgets it
    ask, sample = _serving(place)
    for_all: list[Job | None] = [EditJob(place), judging, FollowUpJob(place, sample.is_short)]
    chore = ChoresJob(
        chores, [job for job in for_all if job], judging.take_up if judging else lambda: None
    )
    chooses = bench.judge is not None and settings.candidates > 2
    hearing = Hearing(store, bench.judge, place.weighing, place.between) if chooses else None
    jobs: list[Job | None] = [ask, chore, hearing, sample]
    closing = [judging.close] if judging else []
    present = [job for job in jobs if job is not None]
    return Worker(place.live, present, bench.news, closing, is_over=is_over)


def make_trainer(
    store: Store,
    policy: Policy,
    sampler: Sampler,
    settings: Settings,
    *,
    process: str,
    name: str,
    stop: threading.Event,
    clock: Clock = time.time,
) -> Worker:
    """What of a worker learns; it has the role of the trainer under its token, the `name`.

    Raises LivedpoError, and ClaimLostError if the role is another's by now.
    """
    bench = _bench(store, policy, sampler, settings, stop=stop, clock=clock, process=process)
    place, judge = bench.place, bench.judge
    remove_unfinished(settings.adapters_dir)
    noted = judge.requests_spent if judge else 0

    def spent() -> None:
        nonlocal noted
        if judge is not None:
            store.judging.add_requests(judge.spec, judge.requests_spent - noted)
            noted = judge.requests_spent = store.judging.spent(judge.spec)

    fill = bench.filling(people_wait=False)
    update = UpdateJob(
        place,
        Examiner(policy, place.settings, judge),
        name=name,
        stop=stop,
        spent=spent,
        fill=fill,
        unique=True,
    )
    update.prune()
    hearing = Hearing(store, judge, place.weighing, place.between)
    jobs: list[Job | None] = [hearing, update, fill, RestJob(place)]
    present = [job for job in jobs if job is not None]
    return Worker(place.live, present, bench.news, [update.spend], is_over=stop.is_set)


def _bench(
    store: Store,
    policy: Policy,
    sampler: Sampler,
    settings: Settings,
    *,
    stop: threading.Event,
    clock: Clock,
    process: str = ROLE,
    asker: str = ONLY,
    may_lag: int | None = None,
) -> _Bench:
    """Check that policy and database belong together, and take up the live version.

    Raises LivedpoError.
    """
    store.versions.adopt_base(base=policy.name, fingerprint=policy.fingerprint, now=clock())
    refuse_small_context(settings, policy)
    refuse_missing_launcher(settings)
    settings, drawing = as_recommended(settings, policy.shipped_generation_config)
    store.versions.note_drawing(drawing)
    policy.temperature = settings.temperature
    shelf, identity = shelf_of(settings), store.versions.identity()
    assert identity is not None  # the base was adopted
    shelf.claim(identity, writes=may_lag is None)
    live = Live(store, policy, shelf, may_lag=may_lag, name=process)
    live.follow()
    store.processes.recovered(process)
    spent = store.judging.spent(settings.judge) if settings.judge else 0
    judge = load_judge(settings, policy, requests_spent=spent)
    life = SignOfLife(store, clock, stop, name=process)
    place = Workplace(
        store=store,
        policy=policy,
        settings=settings,
        live=live,
        supply=Supply(
            store,
            policy,
            sampler,
            settings,
            judge,
            go_on=life.go_on,
            hints=read_hints(settings),
        ),
        stopwatch=Stopwatch(),
        weighing=Weighing(store, settings),
        say=life.say,
        go_on=life.go_on,
        between=Between(life.say, life.go_on, clock),
        clock=clock,
        asker=asker,
        may_lag=may_lag or 0,
    )
    return _Bench(place, News(store), judge)


def _serving(place: Workplace) -> tuple[AskJob, SampleJob]:
    """The jobs that people wait for, which have their turn between the parts of all others, too."""
    ask, sample = AskJob(place), SampleJob(place)

    def serve(seconds: float) -> None:
        ask.step(place.clock())
        sample.refill(seconds)

    place.between.serve = serve
    return ask, sample


def _start_to_sample(place: Workplace) -> None:
    """Prompts that were set aside may fit these settings; forget what an earlier process reported
    of drawing; and say if replies have no end.
    """
    place.store.prompts.reconsider()
    for key in OF_DRAWING:
        place.store.processes.alarm(key, None)
    if not place.policy.eos_token_ids:
        place.store.processes.alarm(NO_END_OF_TURN, NO_END)
