"""The processes of the model, with one policy in memory each: worker, sampler, trainer.

    run_worker   =  wait for the locks and the role; load the policy, put the jobs together, turn
                    until told to stop; load anew if a version of another LoRA shape goes live
    run_sampler  =  the same without waiting, but for a worker, which draws pairs by itself
    run_trainer  =  load the policy, wait for the role, turn until told to stop or the role is lost

`trainer.worker.assembly` says which jobs each of them has. `livedpo worker` runs this module.
"""

import contextlib
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial

import torch
from filelock import FileLock, Timeout
from transformers.utils.logging import disable_progress_bar

from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError
from labeler.domain.health import STANDING_BY
from labeler.domain.report_keys import SAMPLER as SAMPLER_AWAY
from labeler.domain.report_keys import TROUBLE
from labeler.domain.sentences.loop import WAITING_FOR_FOLDER
from labeler.files.prompts import add_first_prompts
from labeler.files.shelf import shelf_of
from labeler.roles.holding import Holding, Rival, StopOrLost
from labeler.roles.process import QUIET, own_name, report_trouble, run_role
from labeler.roles.promotion import REMEDY
from labeler.store import Store
from labeler.store.holders import SAMPLER, TRAINER
from labeler.store.records import ClaimLostError
from trainer.policy.policy import Policy
from trainer.sampling.choice import sampler_for
from trainer.sampling.sampler import Sampler
from trainer.worker.assembly import make_sampler, make_trainer, make_worker
from trainer.worker.life import ROLE, SignOfLife, Stopped
from trainer.worker.live import live_damage, load_live_policy
from trainer.worker.worker import Turn, Worker

log = logging.getLogger(__name__)

FIRST_IDLE_SECONDS = 0.05
LOCK_SECONDS = 0.2
MAX_IDLE_SECONDS = 0.5  # a vote, an ask or a rollback is noticed that fast
IDLE_FACTOR = 1.5
SHARED_PARAMETERS = 30_000_000
# The page, and what else runs on these cores, comes first.
NICE = 5
TROUBLE_SECONDS = 5.0


Make = Callable[[Policy, Sampler], Worker]


def run_worker(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Be the one worker of this data dir until `stop` is set. Raises LivedpoError."""
    add_first_prompts(settings, store, log.info)
    life = SignOfLife(store, time.time, stop)
    life.say("Waiting for an earlier worker to end.")
    holding = Holding(store, TRAINER, holder=ROLE)
    while not stop.wait(LOCK_SECONDS):
        with contextlib.suppress(Timeout), alone(settings, store) as is_alone:
            if holding.turn(time.time(), alone=is_alone):
                _work_as(holding, settings, store, life, stop)
            else:
                life.say(f"{STANDING_BY}: {holding.elsewhere} is the trainer.")


def _work_as(
    holding: Holding, settings: Settings, store: Store, life: SignOfLife, stop: threading.Event
) -> None:
    """Be the worker while the role is ours."""
    over, token = StopOrLost(stop, holding), holding.token

    def make(policy: Policy, sampler: Sampler) -> Worker:
        return make_worker(store, policy, sampler, settings, name=token, stop=over)

    with holding.kept_up(stop):
        take_over(store, token)
        _work(settings, store, life, over, make)


def run_sampler(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Be one of any number of samplers until `stop` is set. Raises LivedpoError."""
    add_first_prompts(settings, store, log.info)
    process = own_name("sampler")
    life = SignOfLife(store, time.time, stop, name=process)
    chores, name = Holding(store, SAMPLER, holder=process), uuid.uuid4().hex
    rival = Rival(store)

    def make(policy: Policy, sampler: Sampler) -> Worker:
        _stand_by(life, stop, lambda: "a worker draws pairs" if rival.is_there() else None)
        return make_sampler(
            store,
            policy,
            sampler,
            settings,
            process=process,
            name=name,
            chores=chores,
            stop=stop,
            is_over=rival.is_there,
        )

    with chores.kept_up(stop):
        _work(settings, store, life, stop, make)


def run_trainer(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Be the trainer, or stand by with the model loaded, until `stop` is set.

    Raises LivedpoError.
    """
    process = own_name("trainer")
    life = SignOfLife(store, time.time, stop, name=process)
    holding = Holding(store, TRAINER, holder=process)

    def make(policy: Policy, sampler: Sampler) -> Worker:
        _stand_by(
            life,
            stop,
            lambda: None if holding.is_held else f"{holding.elsewhere} is the trainer",
        )
        over = StopOrLost(stop, holding)
        take_over(store, holding.token)
        return make_trainer(
            store, policy, sampler, settings, process=process, name=holding.token, stop=over
        )

    with holding.kept_up(stop):
        _work(settings, store, life, stop, make)


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


def _stand_by(life: SignOfLife, stop: threading.Event, why: Callable[[], str | None]) -> None:
    """Wait, and say why, until there is no reason any more. Raises Stopped."""
    while (reason := why()) is not None:
        life.say(f"{STANDING_BY}: {reason}.")
        if stop.wait(LOCK_SECONDS):
            raise Stopped


def threads_for(policy: Policy) -> int:
    """All cores; all but one for a small model, whose products are too small to be shared out."""
    cores = os.cpu_count() or 1
    small = policy.model.num_parameters() < SHARED_PARAMETERS
    return max(1, cores - 1) if small else cores


def rest_after(turn: Turn, rest: float) -> float:
    """How long to rest at the next idle turn, in seconds, after one at which it was `rest`."""
    return min(IDLE_FACTOR * rest, MAX_IDLE_SECONDS) if turn is Turn.IDLE else FIRST_IDLE_SECONDS


def _work(
    settings: Settings, store: Store, life: SignOfLife, stop: threading.Event, make: Make
) -> None:
    """Load the policy and work, again for each version of another shape that goes live, and where
    the role was lost.

    A live version that cannot be loaded is waited for.
    """
    if QUIET in sys.argv[1:] or not sys.stderr.isatty():
        disable_progress_bar()
    shelf, identity = shelf_of(settings), store.versions.identity()
    if identity is not None:  # said before a large model is loaded
        shelf.claim(identity, writes=False)
    while _wait_for_folder(settings, store, life, stop):
        life.say("Loading the model.")
        with contextlib.ExitStack() as opened:
            with life.kept_up():
                policy = load_live_policy(store, settings, life.say)
                torch.set_num_threads(settings.threads or threads_for(policy))
                tell = partial(store.processes.alarm, SAMPLER_AWAY)
                sampler = opened.enter_context(sampler_for(settings, policy, tell))
                try:
                    worker = make(policy, sampler)
                except Stopped:
                    return
                except ClaimLostError as error:
                    log.warning("%s", error)
                    continue
                opened.enter_context(contextlib.closing(worker))
            _turn(worker, store, stop, name=life.name)
        del policy, sampler, worker  # the next ones need the memory


def _wait_for_folder(
    settings: Settings, store: Store, life: SignOfLife, stop: threading.Event
) -> bool:
    """Wait until the live version can be loaded: its folder is back, or another one is live.

    False if told to stop. What is wrong is an alarm meanwhile, which the worker takes back once it
    is at work.
    """
    while not stop.is_set() and (damage := live_damage(store, settings)) is not None:
        log.error("%s %s", damage, REMEDY)
        report_trouble(life.name, store, damage)
        life.say(WAITING_FOR_FOLDER)
        stop.wait(TROUBLE_SECONDS)
    return not stop.is_set()


def _turn(worker: Worker, store: Store, stop: threading.Event, *, name: str = ROLE) -> None:
    """Turn until told to stop, until the role is lost, or until the live version has another shape.

    `name` is that of the process.
    """
    rest, in_trouble = FIRST_IDLE_SECONDS, False
    while not (stop.is_set() or worker.is_over()):
        try:
            turn = worker.step(time.time())
            if in_trouble:
                store.processes.alarm(TROUBLE.format(name), None)
            in_trouble = False
        except Stopped:
            return
        except (LivedpoError, FloatingPointError, OSError) as error:
            # A full disk, say: try again rather than load it all again.
            log.error("%s", error)
            report_trouble(name, store, error)
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
