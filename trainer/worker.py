"""The worker: keeps the queue full from the live policy, and runs the updates that are due.

    Worker.step  =  run the open update, if any, else sample one batch of pairs, else nothing

It is the only module that knows both the model and the store. One thread does everything, because a
policy's adapters are global state; an update hands control back after every step, so that the
worker can say it lives and top up a queue that ran empty. `livedpo worker` runs it.
"""

import contextlib
import logging
import math
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence

import torch
from filelock import FileLock, Timeout
from jinja2 import TemplateError
from transformers.utils.logging import disable_progress_bar

from labeler.config import Settings
from labeler.errors import BadInput, LivedpoError
from labeler.prompts import add_first_prompts
from labeler.role import run_role
from labeler.store import Store
from labeler.store.records import Claim, ClaimLostError, NewPair, NewVersion
from labeler.tables import PolicyVersion, Prompt, UpdateState
from trainer.batch import make_batch
from trainer.checkpoint import read_adapter, remove_unfinished, write_adapter
from trainer.gate import objections
from trainer.policy import CANDIDATE, LIVE, Policy, PolicySettings, load_policy
from trainer.sampling import (
    Response,
    SamplingSettings,
    batch_seed,
    sample_pairs,
    worth_asking,
)
from trainer.update import Step, TrainingSettings, evaluate, train

log = logging.getLogger(__name__)

ROLE = "worker"
SAMPLE_PAIRS = 8
EMPTY_BATCHES_BEFORE_ALARM = 5
IDLE_SECONDS = 0.05
TROUBLE_SECONDS = 5.0


class StoppedError(Exception):
    """The worker was told to stop in the middle of an update."""


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
        self._sampling = SamplingSettings(
            settings.temperature, settings.top_p, settings.max_new_tokens
        )
        self._version = 0
        self._useless_batches = 0
        self._said = ""
        self._said_at = 0.0

    def start(self) -> None:
        """Register the base policy, and take up the live version. Raises LivedpoError."""
        self._store.versions.adopt_base(
            base=self._policy.name, fingerprint=self._policy.fingerprint, now=self._clock()
        )
        if self._settings.max_new_tokens >= self._policy.context_tokens:
            raise BadInput(
                f"'max_new_tokens' cannot be {self._settings.max_new_tokens}: the context of the "
                f"policy is {self._policy.context_tokens} tokens, and prompts need some of it."
            )
        self._store.prompts.reconsider()
        remove_unfinished(self._settings.adapters_dir)
        live = self._store.versions.live()
        assert live is not None  # adopt_base has just seen to it
        if live.folder is not None:
            self._policy.set_adapter_state(LIVE, _weights_of(live, self._settings))
        self._version = live.id

    def step(self) -> bool:
        """One iteration; false if there was nothing to do."""
        claim = self._store.updates.claim(worker=self._name, now=self._clock())
        if claim is not None:
            self._run_update(claim)
            return True
        if self._store.queue.ready() >= self._settings.queue_pairs:
            self._say("Enough pairs are ready.")
            return False
        return self._top_up()

    def _top_up(self) -> bool:
        """Sample one batch of pairs from the live version into the queue."""
        self._say("Sampling pairs.")
        pairs = self._sample(SAMPLE_PAIRS, LIVE, self._version)
        self._store.queue.add(pairs, now=self._clock())
        self._notice_useless_batches(pairs)
        return bool(pairs)

    def _sample(self, count: int, adapter: str, version: int) -> list[NewPair]:
        """Up to `count` pairs that are worth asking about, under this adapter."""
        prompts = self._usable(self._store.prompts.take(count))
        if not prompts:
            return []
        tokens = [tokens for _, tokens in prompts]
        first = prompts[0][0]
        seed = batch_seed(self._settings.seed, version, _id(first), first.pairs_sampled)
        with self._policy.adapter(adapter):
            sampled = sample_pairs(self._policy, tokens, self._sampling, seed=seed)
        kept = [
            (prompt, tokens, pair)
            for (prompt, tokens), pair in zip(prompts, sampled, strict=True)
            if worth_asking(pair)
        ]
        return self._new_pairs(kept, version, seed) if kept else []

    def _usable(self, prompts: Sequence[Prompt]) -> list[tuple[Prompt, list[int]]]:
        """Prompts with their tokens; those that this policy cannot take are set aside."""
        usable = []
        room = self._policy.context_tokens - self._settings.max_new_tokens
        for prompt in prompts:
            try:
                tokens = self._policy.prompt_tokens(prompt.messages)
                if len(tokens) > room:
                    raise ValueError(f"{len(tokens)} tokens, but there is room for {room}")
                usable.append((prompt, tokens))
            except (TemplateError, ValueError, TypeError) as error:
                log.warning("Prompt %s is set aside: %s.", prompt.id, _one_line(error))
                self._store.prompts.set_aside(_id(prompt), _one_line(error))
        return usable

    def _new_pairs(
        self,
        sampled: Sequence[tuple[Prompt, list[int], tuple[Response, Response]]],
        version: int,
        seed: int,
    ) -> list[NewPair]:
        first = [(tokens, pair[0].tokens) for _, tokens, pair in sampled]
        second = [(tokens, pair[1].tokens) for _, tokens, pair in sampled]
        rows = make_batch(first + second, pad=self._policy.pad_token_id, device=self._policy.device)
        with torch.inference_mode(), self._policy.reference():
            logps_a, logps_b = self._policy.logps(rows).chunk(2)
        return [
            NewPair(
                prompt_id=_id(prompt),
                version_id=version,
                response_a=a.text,
                response_b=b.text,
                prompt_tokens=tokens,
                tokens_a=a.tokens,
                tokens_b=b.tokens,
                finish_a=a.finish,
                finish_b=b.finish,
                reference_logp_a=logp_a,
                reference_logp_b=logp_b,
                sampling=vars(self._sampling) | {"seed": seed},
            )
            for (prompt, tokens, (a, b)), logp_a, logp_b in zip(
                sampled, logps_a.tolist(), logps_b.tolist(), strict=True
            )
            if math.isfinite(logp_a) and math.isfinite(logp_b)
        ]

    def _notice_useless_batches(self, pairs: Sequence[NewPair]) -> None:
        self._useless_batches = 0 if pairs else self._useless_batches + 1
        if not self._store.prompts.any_usable():
            alarm = (
                "There is no prompt that this policy can take; `livedpo prompts list` says why, "
                "`livedpo prompts add FILE` adds more."
            )
        elif self._useless_batches >= EMPTY_BATCHES_BEFORE_ALARM:
            alarm = "The policy gives only identical or empty responses; raise --temperature."
        else:
            alarm = None
        self._store.roles.alarm(f"{ROLE}: pairs", alarm)

    def _run_update(self, claim: Claim) -> None:
        """Run an update to its end, whatever that is; the labels are safe in every case."""
        try:
            self._update(claim)
        except ClaimLostError as error:
            log.warning("%s", error)
        except Exception as error:  # the one broad except: the update fails, the worker lives
            with contextlib.suppress(ClaimLostError):
                self._end(claim, error)

    def _end(self, claim: Claim, error: Exception) -> None:
        """Give the update back if the worker was told to stop, else let it fail."""
        if isinstance(error, StoppedError):
            self._store.updates.release(claim)
            return
        log.error("Update %s failed:\n%s", claim.update_id, traceback.format_exc())
        self._store.updates.fail(claim, reason=_one_line(error), now=self._clock())

    def _update(self, claim: Claim) -> None:
        started = self._clock()
        steps = self._train(claim)
        self._beat(claim, UpdateState.GATING, steps[-1])
        version = self._write_candidate(claim, steps, started)
        candidate, live = (self._policy.adapter_state(name) for name in (CANDIDATE, LIVE))
        refused = objections(candidate, live, [step.loss for step in steps])
        if refused:
            reason = "; ".join(refused)
            self._store.updates.reject(claim, version, reason=reason, now=self._clock())
            return
        self._promote(claim, version)

    def _train(self, claim: Claim) -> list[Step]:
        settings = self._settings
        training = TrainingSettings(
            beta=settings.beta,
            learning_rate=settings.learning_rate,
            passes=settings.passes,
            batch_pairs=settings.batch_pairs,
            max_grad_norm=settings.max_grad_norm,
            seed=batch_seed(settings.seed, claim.update_id),
        )
        steps = []
        for step in train(self._policy, claim.labels, training):
            steps.append(step)
            self._beat(claim, UpdateState.TRAINING, step)
            if self._store.queue.ready() == 0:
                self._top_up()
        return steps

    def _beat(self, claim: Claim, state: UpdateState, step: Step) -> None:
        if self._stop.is_set():
            raise StoppedError
        self._say(f"Training on {len(claim.labels)} labels.")
        self._store.updates.beat(claim, state, done=step.done, total=step.total, now=self._clock())

    def _write_candidate(self, claim: Claim, steps: Sequence[Step], started: float) -> NewVersion:
        policy, labels = self._policy, claim.labels
        batch = self._settings.batch_pairs
        number = self._store.versions.next_id()
        folder = self._settings.adapters_dir / f"v{number:04d}"
        state = policy.adapter_state(CANDIDATE)
        sha256 = write_adapter(folder, state, policy.adapter_config(), base=policy.name)
        metrics = {
            "labels": len(labels),
            "loss_first": _finite(steps[0].loss),
            "loss_last": _finite(steps[-1].loss),
            "accuracy_before": evaluate(policy, LIVE, labels, batch_pairs=batch),
            "accuracy_after": evaluate(policy, CANDIDATE, labels, batch_pairs=batch),
            "seconds": round(self._clock() - started, 3),
        }
        return NewVersion(id=number, folder=folder.name, sha256=sha256, metrics=metrics)

    def _promote(self, claim: Claim, version: NewVersion) -> None:
        """Make the candidate live, with its first pairs sampled beforehand so that nobody waits."""
        read_adapter(self._settings.adapters_dir / version.folder, version.sha256)
        pairs = self._sample(SAMPLE_PAIRS, CANDIDATE, version.id)
        trained_on = [vote for label in claim.labels for vote in label.vote_ids]
        self._store.updates.promote(claim, version, pairs, trained_on=trained_on, now=self._clock())
        self._policy.copy_adapter(CANDIDATE, LIVE)
        self._version = version.id
        log.info("Version %s is live.", version.id)

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
    """Load the policy and work until `stop` is set."""
    torch.set_num_threads(settings.threads or max(1, (os.cpu_count() or 2) - 1))
    if not sys.stderr.isatty():
        disable_progress_bar()
    store.roles.say(ROLE, "Loading the model.", pid=os.getpid(), now=time.time())
    live = store.versions.live()
    folder = None
    if live is not None and live.folder is not None:
        _weights_of(live, settings)  # a damaged folder is said before a large model is loaded
        folder = settings.adapters_dir / live.folder
    policy = load_policy(
        PolicySettings(
            policy=settings.policy,
            device=settings.device,
            dtype=settings.dtype,
            lora_rank=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            seed=settings.seed,
        ),
        folder,
    )
    worker = Worker(store, policy, settings, name=worker_name(settings), stop=stop)
    worker.start()
    while not stop.is_set():
        try:
            busy = worker.step()
        except LivedpoError as error:  # a full disk, say: try again rather than load it all again
            log.error("%s", error)
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


def _id(prompt: Prompt) -> int:
    assert prompt.id is not None  # it came from the database
    return prompt.id


def _finite(value: float) -> float | None:
    """The value, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


if __name__ == "__main__":
    run_role(ROLE, run_worker)
