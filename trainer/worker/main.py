"""The worker's process: one for each data dir, with one policy in memory. `livedpo worker` runs it.

run_worker  =  wait for the lock; load the policy, put the jobs together, turn until told to
               stop; load anew if a version of another LoRA shape goes live
"""

import contextlib
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial

import torch
from filelock import FileLock, Timeout
from transformers.utils.logging import disable_progress_bar

from labeler.config.settings import Settings
from labeler.domain.alarms import JUDGE, NO_END_OF_TURN, SAMPLER, TROUBLE
from labeler.domain.errors import LivedpoError
from labeler.domain.sentences.loop import WAITING_FOR_FOLDER
from labeler.files.prompts import add_first_prompts
from labeler.roles.process import QUIET, report_trouble, run_role
from labeler.roles.promotion import REMEDY
from labeler.store import Store
from trainer.gate.examine import Examiner
from trainer.judge.features import Features
from trainer.judge.learned import LearnedJudge
from trainer.judge.load import load_judge
from trainer.learning.ranks.launch import refuse_missing_launcher
from trainer.policy.adapters import remove_unfinished
from trainer.policy.policy import Policy
from trainer.policy.turn_end import NO_END
from trainer.sampling.choice import sampler_for
from trainer.sampling.local import refuse_small_context
from trainer.sampling.recommended import as_recommended
from trainer.sampling.sampler import Sampler
from trainer.worker.jobs.ask import AskJob
from trainer.worker.jobs.edit import EditJob
from trainer.worker.jobs.fill import FillJob
from trainer.worker.jobs.follow_up import FollowUpJob
from trainer.worker.jobs.judge import JudgeJob
from trainer.worker.jobs.sample import SampleJob
from trainer.worker.jobs.update import UpdateJob
from trainer.worker.life import ROLE, Clock, SignOfLife, Stopped
from trainer.worker.live import Live, live_damage, load_live_policy
from trainer.worker.news import News
from trainer.worker.stopwatch import Stopwatch
from trainer.worker.supply import Supply
from trainer.worker.worker import Job, Turn, Worker
from trainer.worker.workplace import Workplace

log = logging.getLogger(__name__)

FIRST_IDLE_SECONDS = 0.05
LOCK_SECONDS = 0.2
MAX_IDLE_SECONDS = 0.5  # a vote, an ask or a rollback is noticed that fast
IDLE_FACTOR = 1.5
SHARED_PARAMETERS = 30_000_000
# The page, and what else runs on these cores, comes first.
NICE = 5
TROUBLE_SECONDS = 5.0


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
    store.versions.adopt_base(base=policy.name, fingerprint=policy.fingerprint, now=clock())
    refuse_small_context(settings, policy)
    refuse_missing_launcher(settings)
    settings, drawing = as_recommended(settings, policy.shipped_generation_config)
    store.versions.note_drawing(drawing)
    policy.temperature = settings.temperature
    store.prompts.reconsider()
    remove_unfinished(settings.adapters_dir)
    live = Live(store, policy, settings.adapters_dir)
    live.follow()
    store.processes.recovered(ROLE)
    store.processes.alarm(JUDGE, None)
    store.processes.alarm(NO_END_OF_TURN, None if policy.eos_token_ids else NO_END)
    spent = store.judging.spent(settings.judge) if settings.judge else 0
    judge = load_judge(settings, policy, requests_spent=spent)
    life = SignOfLife(store, clock, stop)
    place = Workplace(
        store=store,
        policy=policy,
        settings=settings,
        live=live,
        supply=Supply(store, policy, sampler, settings, judge, go_on=life.go_on),
        stopwatch=Stopwatch(),
        say=life.say,
        go_on=life.go_on,
        clock=clock,
    )
    news = News(store)
    ask, sample, judging = AskJob(place), SampleJob(place), None
    if judge is not None:
        judging = JudgeJob(
            store,
            judge,
            settings,
            clock=clock,
            say=place.say,
            stopwatch=place.stopwatch,
            wake=news.wake.set,
        )
    fill = None
    if settings.fill:
        features = judge.features if isinstance(judge, LearnedJudge) else Features(policy)
        fill = FillJob(place, features)
    update = UpdateJob(
        place,
        Examiner(policy, settings, judge),
        name=name,
        stop=stop,
        ask=ask,
        sample=sample,
        judge=judging,
        fill=fill,
    )
    update.prune()
    shown = None if settings.unattended else FollowUpJob(place)
    jobs: list[Job | None] = [ask, update, EditJob(place), judging, shown, sample, fill]
    closing = [update.spend, *([judging.close] if judging else [])]
    return Worker(live, [job for job in jobs if job is not None], news, closing)


def run_worker(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Be the one worker of this data dir until `stop` is set. Raises LivedpoError."""
    add_first_prompts(settings, store, log.info)
    life = SignOfLife(store, time.time, stop)
    life.say("Waiting for an earlier worker to end.")
    token = uuid.uuid4().hex
    while not stop.wait(LOCK_SECONDS):
        with contextlib.suppress(Timeout), alone(settings, store) as is_alone:
            if is_alone:
                take_over(store, token)
            _work(settings, store, life, stop, token)
            return


@contextlib.contextmanager
def alone(settings: Settings, store: Store) -> Iterator[bool]:
    """Be the one worker of the data dir and of the database; whether that is certain.

    Raises Timeout if another one lives. The locks end with their process and move with their
    folders, so whoever holds them needs no name of a host or a path to know.
    """
    of_database = store.worker_lock()
    with FileLock(settings.data_dir / "worker.lock", timeout=0), of_database or nullcontext():
        yield of_database is not None


def take_over(store: Store, token: str) -> None:
    """Free the update that a worker held which has died, wherever it was."""
    left = store.updates.take_over(worker=token)
    if left is not None:
        log.warning("A worker that has ended left update %s behind; it is taken up now.", left)


def threads_for(policy: Policy) -> int:
    """All cores; all but one for a small model, whose products are too small to be shared out."""
    cores = os.cpu_count() or 1
    small = policy.model.num_parameters() < SHARED_PARAMETERS
    return max(1, cores - 1) if small else cores


def rest_after(turn: Turn, rest: float) -> float:
    """How long to rest at the next idle turn, in seconds, after one at which it was `rest`."""
    return min(IDLE_FACTOR * rest, MAX_IDLE_SECONDS) if turn is Turn.IDLE else FIRST_IDLE_SECONDS


def _work(
    settings: Settings, store: Store, life: SignOfLife, stop: threading.Event, token: str
) -> None:
    """Load the policy and work, again for each version of another shape that goes live.

    A live version that cannot be loaded is waited for.
    """
    if QUIET in sys.argv[1:] or not sys.stderr.isatty():
        disable_progress_bar()
    while _wait_for_folder(settings, store, life, stop):
        life.say("Loading the model.")
        with contextlib.ExitStack() as opened:
            with life.kept_up():
                policy = load_live_policy(store, settings, life.say)
                torch.set_num_threads(settings.threads or threads_for(policy))
                tell = partial(store.processes.alarm, SAMPLER)
                sampler = opened.enter_context(sampler_for(settings, policy, tell))
                worker = make_worker(store, policy, sampler, settings, name=token, stop=stop)
                opened.enter_context(contextlib.closing(worker))
            _turn(worker, store, stop)


def _wait_for_folder(
    settings: Settings, store: Store, life: SignOfLife, stop: threading.Event
) -> bool:
    """Wait until the live version can be loaded: its folder is back, or another one is live.

    False if told to stop. What is wrong is an alarm meanwhile, which the worker takes back once it
    is at work.
    """
    while not stop.is_set() and (damage := live_damage(store, settings)) is not None:
        log.error("%s %s", damage, REMEDY)
        report_trouble(ROLE, store, damage)
        life.say(WAITING_FOR_FOLDER)
        stop.wait(TROUBLE_SECONDS)
    return not stop.is_set()


def _turn(worker: Worker, store: Store, stop: threading.Event) -> None:
    """Turn until told to stop, or until the live version has another LoRA shape."""
    rest, in_trouble = FIRST_IDLE_SECONDS, False
    while not stop.is_set():
        try:
            turn = worker.step(time.time())
            if in_trouble:
                store.processes.alarm(TROUBLE.format(ROLE), None)
            in_trouble = False
        except Stopped:
            return
        except (LivedpoError, FloatingPointError, OSError) as error:
            # A full disk, say: try again rather than load it all again.
            log.error("%s", error)
            report_trouble(ROLE, store, error)
            in_trouble = True
            stop.wait(TROUBLE_SECONDS)
            continue
        if turn is Turn.OTHER_SHAPE:
            return
        if turn is Turn.IDLE:
            worker.wait(rest)
        rest = rest_after(turn, rest)


if __name__ == "__main__":
    os.nice(NICE)
    run_role(ROLE, run_worker)
