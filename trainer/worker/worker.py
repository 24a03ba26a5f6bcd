"""The worker: keeps the queue full from the live policy, and runs the updates that are due.

    Worker.step  =  answer raters' own prompts; then run the open update, if any, else sample one
                    batch of pairs, else nothing

One thread does everything, because a policy's adapters are global state; an update hands control
back after every step, so that the worker can say it lives, answer raters, and top up a queue that
ran empty. The live version is a pointer in the database: the worker looks at it before everything
it does, so a rollback takes effect at once. `livedpo worker` runs it.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from filelock import FileLock, Timeout
from transformers.utils.logging import disable_progress_bar

from labeler.config.parts.training import Training
from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError
from labeler.domain.states import UpdateState
from labeler.files.prompts import add_first_prompts
from labeler.roles.process import QUIET, run_role
from labeler.store import Store
from labeler.store.records import Claim, ClaimLostError, NewPair, NewVersion
from labeler.store.tables import PolicyVersion
from labeler.store.views.trust import Weights
from trainer.gate.candidate import Candidates, Examined
from trainer.judge.load import load_judge
from trainer.learning.update import Step, decayed, train
from trainer.policy.adapters import (
    read_adapter,
    remove_folders,
    remove_leftovers,
    remove_unfinished,
)
from trainer.policy.policy import CANDIDATE, LIVE, Policy, load_policy
from trainer.sampling.local import batch_seed, refuse_small_context
from trainer.worker.asking import Asking
from trainer.worker.edits import tokenise_edits
from trainer.worker.fallback import Fallback
from trainer.worker.stopwatch import Stopwatch
from trainer.worker.supply import ROLE, Supply, first_line

log = logging.getLogger(__name__)

SAMPLE_PAIRS = 16
UNATTENDED_PAIRS = 128
MAX_HALVINGS = 3
IDLE_SECONDS = 0.05
TROUBLE = f"{ROLE}: trouble"
TROUBLE_SECONDS = 5.0


class StoppedError(Exception):
    """The worker was told to stop in the middle of an update."""


class OtherShapeError(Exception):
    """The version that is live now has another LoRA rank or scaling: load the policy with it."""


class Worker:
    """One policy, one store, one thread."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        settings: Settings,
        *,
        name: str,
        stop: threading.Event,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._policy = policy
        self._settings = settings
        self._name = name
        self._stop = stop
        self._clock = clock
        spent = store.judging.spent(settings.judge) if settings.judge else 0
        judge = load_judge(settings, policy, requests_spent=spent)
        self._supply = Supply(store, policy, settings, judge)
        self._candidates = Candidates(policy, self._supply, settings, judge)
        self._fallback = Fallback(store, judge, settings, clock, self._say) if judge else None
        self._unattended = settings.unattended
        self._watch = Stopwatch()
        self._asking = Asking(store, policy, self._supply, settings, clock, self._say)
        self._untrained = policy.adapter_state(LIVE)
        self._version: int | None = None
        self._weights: Weights | None = None
        self._said = ""
        self._said_at = 0.0

    def start(self) -> None:
        """Register the base policy, and take up the live version. Raises LivedpoError."""
        self._store.versions.adopt_base(
            base=self._policy.name, fingerprint=self._policy.fingerprint, now=self._clock()
        )
        refuse_small_context(self._settings, self._policy)
        self._store.prompts.reconsider()
        remove_unfinished(self._settings.adapters_dir)
        self._store.roles.alarm(TROUBLE, None)  # of a worker that ended
        self._prune()
        self._live_version()

    def step(self) -> bool:
        """One iteration; false if there was nothing to do."""
        version = self._live_version()
        asked = self._asking.step(version)
        rules = self._settings.due_rules
        claim = self._store.updates.claim(
            worker=self._name, rules=rules.votes, now=self._clock(), reliability=self._reliability()
        )
        if claim is not None:
            if self._live_version() == claim.parent:
                self._run_update(claim)
                self._prune()
            else:  # someone has moved the live pointer in between
                with contextlib.suppress(ClaimLostError):
                    self._store.updates.release(claim)
            return True
        if tokenise_edits(self._store, self._policy, self._settings, version, self._clock):
            return True
        if self._fallback is not None and self._judge_some(self._fallback):
            return True
        wanted = self._wanted()
        if wanted <= 0:
            self._say("Enough pairs are ready.")
            return asked
        return self._top_up(version, wanted) or asked

    def _reliability(self) -> Mapping[int, float]:
        """How much each rater's votes weigh in the open update; nothing said: all alike."""
        if not self._settings.weigh_raters or not self._store.updates.is_one_open():
            return {}
        self._weights = self._store.trust.weights(self._weights)
        return self._weights.by_rater

    def close(self) -> None:
        """Leave nothing running."""
        self._spend()
        if self._fallback is not None:
            self._fallback.close()

    def _spend(self) -> None:
        """Tell the unattended run where the time went, and the budget what the judge has cost."""
        if self._unattended:
            self._store.runs.spend(self._watch.take())
        if self._fallback is not None:
            self._fallback.note_requests()

    def _prune(self) -> None:
        """Remove the folders of old versions, and what a crash or a lost claim left."""
        versions, parent = self._store.versions, self._settings.adapters_dir
        names = versions.prune(keep=self._settings.keep_versions, now=self._clock())
        remove_folders(parent, names)
        remove_leftovers(parent, versions.folders(), since=versions.get(0).created_at)

    def _judge_some(self, fallback: Fallback) -> bool:
        """Let the judge have its turn, and open the update that its labels may have made due."""
        with self._watch.timing("judging"):
            judged = fallback.step()
        if judged:
            self._store.updates.open_if_due(self._settings.due_rules, now=self._clock())
        return judged

    def _wanted(self) -> int:
        """How many pairs to sample: what the queue lacks, or what this round or update does.

        Where a judge labels everything at once nobody needs a queue, and pairs beyond the next
        update's would be of an old version before they are used.
        """
        ready, rules = self._store.queue.ready(), self._settings.due_rules
        if self._settings.mode == "iterative":
            left = self._store.updates.round_left(rules)
            return min(self._settings.queue_pairs - ready, left)
        if self._unattended:
            missing = self._store.updates.labels_missing(rules)
            return min(missing, self._store.judging.labels_left(self._settings.judge_rules)) - ready
        return self._settings.queue_pairs - ready

    def _live_version(self) -> int:
        """The number of the live version, whose weights are in place when this returns."""
        live = self._store.versions.live()
        assert live is not None  # adopt_base has seen to it
        if live.id != self._version:
            folder = self._settings.adapters_dir / str(live.folder)
            if live.folder is not None and not self._policy.fits(folder):
                raise OtherShapeError
            weights = _weights_of(live, self._settings) if live.folder else self._untrained
            self._policy.set_adapter_state(LIVE, weights)
            self._version = live.id
        return live.id

    def _top_up(self, version: int, wanted: int) -> bool:
        """Sample one batch of pairs from the live version into the queue."""
        self._say("Sampling pairs.")
        most = UNATTENDED_PAIRS if self._unattended else SAMPLE_PAIRS
        if self._settings.mode == "iterative" or self._unattended:
            most = min(wanted, most)
        with self._watch.timing("sampling"):
            sampled = self._supply.sample(most, LIVE, version)
            pairs = self._supply.pairs(sampled, version)
        self._store.queue.add(pairs, now=self._clock(), votes_wanted=self._settings.votes_per_pair)
        return bool(pairs)

    def _run_update(self, claim: Claim) -> None:
        """Run an update to its end, whatever that is; the labels are safe in every case."""
        try:
            self._update(claim)
        except ClaimLostError as error:
            log.warning("%s", error)
        except Exception as error:  # whatever it is, the update fails and the worker lives
            with contextlib.suppress(ClaimLostError):
                self._end(claim, error)

    def _end(self, claim: Claim, error: Exception) -> None:
        """Give the update back if the worker was told to stop, else let it fail."""
        if isinstance(error, StoppedError):
            self._store.updates.release(claim)
            return
        log.error("Update %s failed:\n%s", claim.update_id, traceback.format_exc())
        self._store.updates.fail(claim, reason=first_line(error), now=self._clock())

    def _update(self, claim: Claim) -> None:
        """Train, examine, and either promote or keep back."""
        started = self._clock()
        training = self._training(claim)
        steps = self._train(claim, training)
        self._beat(claim, UpdateState.GATING, steps[-1])
        number = self._store.versions.next_id()
        with self._watch.timing("gating"):
            examined = self._candidates.examine(
                number,
                steps,
                parent=claim.parent,
                held_out=claim.held_out,
                remembered=claim.remembered,
                training=training,
                live_responses=self._store.queue.responses(claim.parent),
            )
        finding = replace(
            examined.finding,
            labels=claim.fresh,
            judged=sum(label.judged for label in claim.labels[: claim.fresh]),
            replayed=claim.replayed,
            held_out=len(claim.held_out),
            learning_rate=training.learning_rate,
            seconds=round(self._clock() - started, 3),
        )
        self._settle(claim, number, replace(examined, finding=finding))

    def _train(self, claim: Claim, training: Training) -> list[Step]:
        """All steps, between which people get pairs if they have none left."""
        people = self._settings.mode == "streaming" and not self._unattended
        steps: list[Step] = []
        seed = batch_seed(self._settings.seed, claim.update_id)
        learning = train(self._policy, claim.labels, training, seed=seed)
        while True:
            with self._watch.timing("training"):
                step = next(learning, None)
            if step is None:
                return steps
            steps.append(step)
            self._beat(claim, UpdateState.TRAINING, step)
            self._asking.step(claim.parent)
            if people and self._store.queue.ready() == 0:
                self._top_up(claim.parent, SAMPLE_PAIRS)

    def _training(self, claim: Claim) -> Training:
        """Half the learning rate for each refusal: the same step again would be refused again."""
        halvings = min(claim.refusals, MAX_HALVINGS)
        training = decayed(self._settings, claim.used)
        rate = training.learning_rate / 2**halvings
        return training.model_copy(update={"learning_rate": rate})

    def _settle(self, claim: Claim, number: int, examined: Examined) -> None:
        """Write the candidate, and make it live with its first pairs, or keep it as rejected."""
        folder, sha256 = self._candidates.write(f"v{number:04d}")
        version = NewVersion(id=number, folder=folder, sha256=sha256, finding=examined.finding)
        if examined.finding.objections:
            reason = examined.finding.objection
            log.warning("Version %s was kept back: %s.", number, reason)
            self._store.updates.reject(claim, version, reason=reason, now=self._clock())
        else:
            self._promote(claim, version, self._first_pairs(examined, number))
        self._spend()

    def _first_pairs(self, examined: Examined, number: int) -> list[NewPair]:
        pairs = self._supply.pairs(examined.sampled, number)
        in_rounds = self._settings.mode == "iterative"
        return pairs[: self._settings.labels_per_update] if in_rounds else pairs

    def _promote(self, claim: Claim, version: NewVersion, pairs: Sequence[NewPair]) -> None:
        """Make the candidate live, with its first pairs in the same transaction: nobody waits."""
        read_adapter(self._settings.adapters_dir / version.folder, version.sha256)
        trained_on = [vote for label in claim.labels for vote in label.vote_ids]
        now, wanted = self._clock(), self._settings.votes_per_pair
        self._store.updates.promote(
            claim, version, pairs, trained_on=trained_on, now=now, votes_wanted=wanted
        )
        self._policy.copy_adapter(CANDIDATE, LIVE)
        self._version = version.id
        log.info("Version %s is live.", version.id)

    def _beat(self, claim: Claim, state: UpdateState, step: Step) -> None:
        if self._stop.is_set():
            raise StoppedError
        doing = "Training on" if state is UpdateState.TRAINING else "Examining what came of"
        self._say(f"{doing} {len(claim.labels)} labels.")
        self._store.updates.beat(claim, state, done=step.done, total=step.total, now=self._clock())

    def _say(self, says: str) -> None:
        """A sign of life: at once if it is news, else every few seconds."""
        now = self._clock()
        if says != self._said or now - self._said_at > 5:
            self._store.roles.say(ROLE, says, pid=os.getpid(), now=now)
            self._said, self._said_at = says, now


def run_worker(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Be the one worker of this data dir until `stop` is set. Raises LivedpoError."""
    add_first_prompts(settings, store, log.info)
    store.roles.say(ROLE, "Waiting for an earlier worker to end.", pid=os.getpid(), now=time.time())
    lock = FileLock(settings.data_dir / "worker.lock", timeout=0)
    while not stop.wait(0.2):
        with contextlib.suppress(Timeout), lock:
            _work(settings, store, stop)
            return


def _work(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Load the policy and work, and load it anew if a version of another shape goes live."""
    torch.set_num_threads(settings.threads or max(1, (os.cpu_count() or 2) - 1))
    if QUIET in sys.argv[1:] or not sys.stderr.isatty():
        disable_progress_bar()
    while not stop.is_set():
        with contextlib.suppress(OtherShapeError):
            _work_with_one_policy(settings, store, stop)


def _work_with_one_policy(settings: Settings, store: Store, stop: threading.Event) -> None:
    store.roles.say(ROLE, "Loading the model.", pid=os.getpid(), now=time.time())
    live = store.versions.live()
    folder = None
    if live is not None and live.folder is not None:
        _weights_of(live, settings)  # a damaged folder is said before a large model is loaded
        folder = settings.adapters_dir / live.folder
    policy = load_policy(settings, folder)
    worker = Worker(store, policy, settings, name=worker_name(settings), stop=stop)
    with contextlib.closing(worker):
        worker.start()
        _work_until(stop, worker, store)


def _work_until(stop: threading.Event, worker: Worker, store: Store) -> None:
    in_trouble = False
    while not stop.is_set():
        try:
            busy = worker.step()
            if in_trouble:
                store.roles.alarm(TROUBLE, None)
            in_trouble = False
        except (LivedpoError, FloatingPointError) as error:
            # A full disk, say: try again rather than load it all again.
            log.error("%s", error)
            with contextlib.suppress(LivedpoError):
                store.roles.alarm(TROUBLE, first_line(error))
            in_trouble = True
            stop.wait(TROUBLE_SECONDS)
            continue
        if not busy:
            stop.wait(IDLE_SECONDS)


def worker_name(settings: Settings) -> str:
    """The same for every worker of this place: a new one inherits the claims of the one before."""
    return f"{socket.gethostname()}:{settings.data_dir.resolve()}"


def _weights_of(version: PolicyVersion, settings: Settings) -> dict[str, torch.Tensor]:
    assert version.folder is not None
    assert version.sha256 is not None
    return read_adapter(settings.adapters_dir / version.folder, version.sha256)


if __name__ == "__main__":
    run_role(ROLE, run_worker)
