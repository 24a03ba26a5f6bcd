"""Offline DPO: `livedpo train FILE` trains a candidate version from a file of labelled pairs.

It starts from the live version, ends at the same gate as the loop's updates, and leaves the
promotion to `livedpo versions promote`. Texts are tokenised here, since a file has no token ids:
the completion is the reply and the token that ends a turn in the chat template, unless our own
export says that the reply was cut. Nothing of the file enters the database.
"""

import json
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm
from transformers.utils.logging import disable_progress_bar

from labeler.config.load import handed_down_settings
from labeler.config.parts.training import Training
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.finding import Finding
from labeler.domain.labels import TrainingLabel
from labeler.files.pairs import ExportedPair, read_pairs
from labeler.files.prompts import add_first_prompts
from labeler.files.reading.reader import AS_IT_IS, Asked
from labeler.files.shelf import shelf_of
from labeler.roles.logs import warn_on_terminal
from labeler.roles.process import stop_on_signals
from labeler.roles.terminal import tell, tell_lines
from labeler.store import Store, open_store
from trainer.fast.layout import TokenPair
from trainer.gate.examine import Candidate, Examiner
from trainer.judge.load import load_judge
from trainer.learning.ranks.launch import JOBS, refuse_missing_launcher, train_apart
from trainer.learning.update import Step, train
from trainer.policy.chat import Refused
from trainer.policy.logps import logps_under
from trainer.policy.policy import Policy
from trainer.sampling.local import LocalSampler, refuse_small_context
from trainer.sampling.recommended import as_recommended
from trainer.sampling.sampler import Sampler, Version
from trainer.sampling.samples import batch_seed
from trainer.worker.candidate import examine_candidate, write_candidate
from trainer.worker.live import Live, load_live_policy
from trainer.worker.supply import Supply

log = logging.getLogger(__name__)

REFERENCE_BATCH_PAIRS = 16
MAX_HELD_OUT = 64


class Offline:
    """One policy and one store, for one run over one file."""

    def __init__(self, store: Store, policy: Policy, sampler: Sampler, settings: Settings) -> None:
        self._store = store
        settings, self._drawing = as_recommended(settings, policy.shipped_generation_config)
        policy.temperature = settings.temperature
        self._policy = policy
        self._shelf = shelf_of(settings)
        self._settings = settings
        self._supply = Supply(store, policy, sampler, settings)
        self._examiner = Examiner(policy, settings, load_judge(settings, policy))

    def start(self) -> Version:
        """Register the base, take up the live version, and return it."""
        refuse_small_context(self._settings, self._policy)
        refuse_missing_launcher(self._settings)
        self._store.versions.adopt_base(
            base=self._policy.name, fingerprint=self._policy.fingerprint, now=time.time()
        )
        self._store.versions.note_drawing(self._drawing)
        identity = self._store.versions.identity()
        assert identity is not None  # the base was adopted
        self._shelf.claim(identity, writes=True)
        live = Live(self._store, self._policy, self._shelf)
        live.follow()
        return live.version

    def run(self, pairs: Sequence[ExportedPair], *, name: str, stop: threading.Event) -> str:
        """Train, write, examine, register. Returns what came of it in a sentence.

        If it fails, no folder is left behind.
        """
        live = self.start()
        labels, left_out = self._labels(pairs)
        tested = round(self._settings.held_out_share * len(labels))
        tested = min(tested, MAX_HELD_OUT, len(labels) - 1)
        shuffle = torch.Generator().manual_seed(self._settings.seed)
        order = torch.randperm(len(labels), generator=shuffle).tolist()
        held_out = [labels[place] for place in order[:tested]]
        taught = [labels[place] for place in order[tested:]]
        seed = batch_seed(self._settings.seed, live.number)
        training = as_many_updates(self._settings, len(taught))
        probe = [label.tokens for label in held_out]
        steps = self._train(taught, probe, training, seed, stop)
        number = self._store.versions.next_id()
        folder = self._settings.adapters_dir / f"offline-{int(time.time() * 1000)}"
        version, sha256 = write_candidate(self._policy, number, folder)
        with ExitStack() as failed:
            failed.callback(shutil.rmtree, folder, ignore_errors=True)
            finding, _ = examine_candidate(
                Candidate(number, live.number, steps, training, taught, held_out),
                version,
                live=live,
                said=(),
                examiner=self._examiner,
                supply=self._supply,
            )
            finding = replace(
                finding, labels=len(taught), held_out=tested, left_out=left_out, file=name
            )
            self._shelf.publish(folder.name)
            number = self._store.versions.add_candidate(
                folder=folder.name,
                sha256=sha256,
                finding=finding,
                parent=live.number,
                now=time.time(),
            )
            failed.pop_all()
        return _sentence(number, finding)

    def _labels(self, pairs: Sequence[ExportedPair]) -> tuple[list[TrainingLabel], int]:
        """Pairs as labels, with their reference log-probs; and how many the policy cannot take.

        Raises BadInput if none is left.
        """
        labels = [self._label(number, pair) for number, pair in enumerate(pairs)]
        room = self._policy.context_tokens
        fitting = [label for label in labels if label is not None and _tokens(label) <= room]
        if not fitting:
            raise BadInput(
                f"None of the {len(pairs)} pairs can be used: the policy's chat template refuses "
                f"them, or its context of {room} tokens is too short."
            )
        done = []
        starts = range(0, len(fitting), REFERENCE_BATCH_PAIRS)
        for start in tqdm(starts, desc="reference", unit="batch", disable=_quiet()):
            some = fitting[start : start + REFERENCE_BATCH_PAIRS]
            some_tokens = [label.tokens for label in some]
            logps = logps_under(self._policy, None, some_tokens).tolist()
            done += [
                replace(
                    label,
                    reference_logp_a=a,
                    reference_logp_b=b,
                    temperature=self._policy.temperature,
                )
                for label, (a, b) in zip(some, logps, strict=True)
            ]
        return done, len(pairs) - len(fitting)

    def _label(self, number: int, pair: ExportedPair) -> TrainingLabel | None:
        """The pair in tokens; None if the chat template refuses its prompt."""
        try:
            prompt_tokens = self._policy.prompt_tokens(pair.messages)
            tokens_a = self._policy.response_tokens(pair.response_a, ended=pair.ended_a)
            tokens_b = self._policy.response_tokens(pair.response_b, ended=pair.ended_b)
        except Refused:
            return None
        return TrainingLabel(
            vote_ids=(f"line {number}",),
            target=pair.said.target,
            tie=pair.said.tie,
            weight=pair.said.weight,
            prompt_tokens=prompt_tokens,
            tokens_a=tokens_a,
            tokens_b=tokens_b,
            reference_logp_a=0.0,
            reference_logp_b=0.0,
        )

    def _train(
        self,
        labels: Sequence[TrainingLabel],
        probe: Sequence[TokenPair],
        training: Training,
        seed: int,
        stop: threading.Event,
    ) -> list[Step]:
        steps = []
        settings = self._settings
        if settings.nproc:
            jobs = settings.data_dir / JOBS
            how = partial(train_apart, settings=settings, jobs=jobs, go_on=partial(_go_on, stop))
        else:
            how = partial(train, go_on=partial(_go_on, stop))
        learning = how(self._policy, labels, training, seed=seed, probe=probe)
        with closing(learning), tqdm(desc="training", unit="step", disable=_quiet()) as bar:
            for step in learning:
                _go_on(stop)
                steps.append(step)
                bar.total = step.total
                bar.set_postfix(loss=f"{step.loss:.3f}", right=f"{step.accuracy:.0%}")
                bar.update()
        return steps


def _go_on(stop: threading.Event) -> None:
    """Raise LivedpoError if told to stop."""
    if stop.is_set():
        raise LivedpoError("Stopped before the end; nothing was written.")


def as_many_updates(settings: Settings, labels: int) -> Training:
    """What training takes so that one run over `labels` goes as far as updates of the usual size.

    Steps of a set KL go in many directions, so their KL adds up. The run stays within half of what
    the gate lets pass.
    """
    updates = max(1.0, labels / settings.labels_per_update)
    most = max(settings.update_kl, settings.gate_max_kl_live / 2)
    kl = min(settings.update_kl * updates, most)
    return settings.model_copy(update={"update_kl": kl})


def run_offline(
    path: Path, settings: Settings, stop: threading.Event, asked: Asked = AS_IT_IS
) -> str:
    """Train from a file; returns what came of it in a sentence. Raises LivedpoError."""
    found = read_pairs(path, settings.vote_rules, asked)
    tell_lines(found.reading.understood(), err=True)
    if left_out := found.left_out():
        tell(left_out, err=True)
    store = open_store(settings.database_url)
    try:
        held = FileLock(settings.data_dir / "worker.lock", timeout=0).acquire()
    except Timeout as error:
        raise LivedpoError(
            f"A service is using {settings.data_dir}; stop it first, or choose another --data-dir."
        ) from error
    with held:
        add_first_prompts(settings, store, log.info)
        torch.set_num_threads(settings.threads or (os.cpu_count() or 1))
        policy = load_live_policy(store, settings)
        offline = Offline(
            store, policy, LocalSampler(policy, dtype=settings.sampling_dtype), settings
        )
        return offline.run(found.pairs, name=path.name, stop=stop)


def main() -> None:
    """Run over the file that is the first argument; settings come from the environment.

    A second one says as JSON how to read the file.
    """
    warn_on_terminal("train")
    try:
        settings = handed_down_settings(os.environ)
        asked = Asked(**json.loads(sys.argv[2])) if len(sys.argv) > 2 else AS_IT_IS
        if _quiet():
            disable_progress_bar()
        tell(run_offline(Path(sys.argv[1]), settings, stop_on_signals(), asked))
    except OSError as error:
        tell(f"livedpo: {error.filename}: {error.strerror or error}.", err=True)
        sys.exit(1)
    except LivedpoError as error:
        tell(f"livedpo: {error}", err=True)
        sys.exit(error.exit_code)


def _sentence(number: int, finding: Finding) -> str:
    left_out = ""
    if finding.left_out:
        left_out = f" {finding.left_out} pairs that the policy cannot take were left out."
    if finding.objections:
        return (
            f"Version {number} was trained on {finding.labels} pairs, and the gate objects: "
            f"{finding.objection}.{left_out}"
        )
    return (
        f"Version {number} was trained on {finding.labels} pairs, and the gate has nothing against "
        f"it: `livedpo versions promote {number}` makes it live.{left_out}"
    )


def _tokens(label: TrainingLabel) -> int:
    """Tokens of the prompt and the longer response."""
    return len(label.prompt_tokens) + max(len(label.tokens_a), len(label.tokens_b))


def _quiet() -> bool:
    return not sys.stderr.isatty()


if __name__ == "__main__":
    main()
