"""Runs the update that is open: train, write, examine, then promote or hold back.

Between its parts people get what they wait for, where this process is who gives it. The
candidate is written before anything is sampled from it; a folder that no version came of, after a
crash say, is removed like those of old versions.
"""

import contextlib
import logging
import re
import secrets
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import replace
from functools import partial

from labeler.config.parts.training import Training
from labeler.domain.errors import LivedpoError, first_line
from labeler.domain.sentences.fill import ALL_TIES
from labeler.domain.sentences.loop import preparing
from labeler.domain.states import UpdateState
from labeler.store.records import Claim, ClaimLostError, NewVersion
from trainer.fast.layout import TokenPair
from trainer.fast.memory import give_back
from trainer.gate.examine import Candidate, Examiner
from trainer.learning.ranks.launch import JOBS, train_apart
from trainer.learning.reach import decayed, made_up, slowed, weighted
from trainer.learning.steps import PROBE_PAIRS
from trainer.learning.update import Step, train
from trainer.policy.adapters import read_adapter, remove_folders, version_folders
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Sample, batch_seed
from trainer.worker.candidate import try_candidate
from trainer.worker.jobs.fill import Filled, FillJob
from trainer.worker.jobs.sample import queue_rules
from trainer.worker.life import Stopped
from trainer.worker.workplace import Workplace

log = logging.getLogger(__name__)

MAX_HALVINGS = 3
UNIQUE = re.compile(r"v\d{4,}-[0-9a-f]{8}")  # a name that only one process has ever written


class UpdateJob:
    """Claims updates in the name of this worker. `stop` gives the one that trains back.

    After each it calls `spent`. `unique`: another process may write a folder for the same number,
    so a name is never used twice.
    """

    def __init__(
        self,
        place: Workplace,
        examiner: Examiner,
        *,
        name: str,
        stop: threading.Event,
        spent: Callable[[], None] = lambda: None,
        fill: FillJob | None = None,
        unique: bool = False,
    ) -> None:
        self._place = place
        self._examiner = examiner
        self._name = name
        self._stop = stop
        self._spent = spent
        self._fill = fill
        self._unique = unique

    def step(self, now: float) -> bool:
        """Run the update that is open to its end; false if none is."""
        place, updates = self._place, self._place.store.updates
        rules = place.settings.due_rules.votes
        try:
            claim = updates.claim(
                worker=self._name, rules=rules, now=now, reliability=self._reliability()
            )
        except ClaimLostError as error:
            log.warning("%s", error)
            return False
        if claim is None:
            return False
        if place.live.follow() and place.live.version.number == claim.parent:
            self._run(claim)
            with contextlib.suppress(ClaimLostError):  # the next trainer does it
                self.prune()
            give_back()
        else:  # someone has moved the live pointer in between
            with contextlib.suppress(ClaimLostError):
                updates.release(claim)
        return True

    def prune(self) -> None:
        """Remove the folders of old versions, and what a crash or a lost claim left."""
        settings, versions = self._place.settings, self._place.store.versions
        now, since = self._place.clock(), versions.get(0).created_at
        names = versions.prune(keep=settings.keep_versions, now=now, worker=self._name)
        remove_folders(settings.adapters_dir, names)
        found = version_folders(settings.adapters_dir, since=since)
        if self._unique:  # no lock keeps `livedpo train` away, which may be writing one
            found = {name for name in found if not name.startswith("offline-")}
        remove_folders(settings.adapters_dir, found - versions.folders(self._name))
        try:
            self._clear_shelf(names)
        except LivedpoError as error:  # a store that is away is cleared the next time
            log.warning("%s", error)

    def _clear_shelf(self, names: Collection[str]) -> None:
        """The same for what was published: of these names, and what no version came of."""
        shelf = self._place.live.shelf
        found = {name for name in shelf.published() if UNIQUE.fullmatch(name)}
        left = found - self._place.store.versions.folders(self._name)
        shelf.remove({*names, *left})

    def spend(self) -> None:
        """Tell the unattended run where the time went, and the budget what the judge has cost."""
        if self._place.settings.unattended:
            self._place.store.runs.spend(self._place.stopwatch.take())
        self._spent()

    def _reliability(self) -> Mapping[int, float]:
        """How much each rater's votes weigh in the open update; nothing said: all alike."""
        place = self._place
        if not (place.settings.weigh_raters and place.store.updates.is_one_open()):
            return {}
        return place.weighing.by_rater()

    def _run(self, claim: Claim) -> None:
        """Run an update to its end, whatever that is; the labels are safe in every case."""
        updates = self._place.store.updates
        try:
            if not self._update(claim):
                updates.release(claim)
        except Stopped:
            with contextlib.suppress(ClaimLostError):
                updates.release(claim)
            raise
        except ClaimLostError as error:
            log.warning("%s", error)
        except Exception as error:  # whatever it is, the update fails and the worker lives
            reason = first_line(error)
            log.error("Update %s failed: %s", claim.update_id, reason, exc_info=error)
            with contextlib.suppress(ClaimLostError):
                updates.fail(claim, reason=reason, now=self._place.clock())

    def _update(self, claim: Claim) -> bool:
        """Train, write, examine, settle; false if the worker was told to stop in training."""
        place = self._place
        started = place.clock()
        place.between.begin()
        self._say(claim, UpdateState.TRAINING)
        training, filled = self._training(claim), Filled(claim.labels)
        if self._fill is not None:
            pause = partial(self._pause, claim, UpdateState.TRAINING)
            filled = self._fill.pairs(claim, pause=lambda says: pause(says=says))
            pause()
            training = weighted(training, filled.share(claim))
            usual = (1 + place.settings.fill) * len(claim.labels)
            pairs = len(filled.votes) + len(filled.labels)
            training = made_up(training, pairs, usual) if pairs else training
        if not claim.labels and not filled.labels:
            place.store.updates.decline(claim, reason=ALL_TIES, now=place.clock())
            return True
        steps = list(self._steps(claim, training, filled))
        if self._stop.is_set():
            return False
        self._beat(claim, UpdateState.GATING, steps[-1])
        candidate = Candidate(
            number=place.store.versions.next_id(),
            parent=claim.parent,
            steps=steps,
            training=training,
            taught=claim.labels,
            held_out=claim.held_out,
            remembered=claim.remembered,
        )
        number = candidate.number
        with place.stopwatch.timing("gating"):
            tried = try_candidate(
                candidate,
                place.settings.adapters_dir / self._folder_name(number),
                policy=place.policy,
                live=place.live.version,
                said=place.store.queue.answers(claim.parent),
                examiner=self._examiner,
                supply=place.supply,
                pause=partial(self._pause, claim, UpdateState.GATING, steps[-1]),
            )
        finding = replace(
            tried.finding,
            labels=claim.fresh,
            judged=sum(label.judged for label in claim.labels[: claim.fresh]),
            replayed=claim.replayed,
            held_out=len(claim.held_out),
            learning_rate=steps[-1].learning_rate,
            seconds=round(place.clock() - started, 3),
        )
        if self._fill is not None:
            pause = partial(self._pause, claim, UpdateState.GATING, steps[-1])
            finding = self._fill.found(finding, filled, tried.samples, pause)
        filled_pairs = tuple(filled.pairs)
        row = NewVersion(number, tried.folder.name, tried.sha256, finding, filled_pairs)
        self._settle(claim, row, tried.version, tried.samples)
        return True

    def _folder_name(self, number: int) -> str:
        return f"v{number:04d}-{secrets.token_hex(4)}" if self._unique else f"v{number:04d}"

    def _steps(self, claim: Claim, training: Training, filled: Filled) -> Iterator[Step]:
        """Train; between the steps people get what they wait for. Ends early if told to stop."""
        step: Step | None = None

        def go_on() -> None:
            self._pause(claim, UpdateState.TRAINING, step)

        with contextlib.closing(self._learning(claim, training, filled, go_on)) as learning:
            while True:
                with self._place.stopwatch.timing("training"):
                    step = next(learning, None)
                if step is None or self._stop.is_set():
                    return
                self._pause(claim, UpdateState.TRAINING, step)
                yield step

    def _learning(
        self, claim: Claim, training: Training, filled: Filled, go_on: Callable[[], None]
    ) -> Generator[Step, None, None]:
        """The optimiser steps, taken here or by processes of their own."""
        settings, policy = self._place.settings, self._place.policy
        seed, probe = batch_seed(settings.seed, claim.update_id), self._probe(claim)
        labels = len(filled.votes) + len(filled.labels)
        if settings.nproc:
            return train_apart(
                policy,
                filled.votes,
                training,
                settings=settings,
                jobs=settings.data_dir / JOBS,
                seed=seed,
                probe=probe,
                filled=filled.labels,
                go_on=go_on,
            )
        return train(
            policy,
            filled.votes,
            training,
            seed=seed,
            probe=probe,
            filled=filled.labels,
            pause=partial(self._pause, claim, UpdateState.TRAINING, says=preparing(labels)),
            go_on=go_on,
        )

    def _probe(self, claim: Claim) -> list[TokenPair]:
        """What steps are measured on: pairs of the live version that the update does not train on.

        Those that nobody has voted on yet are its own at random; others, drawn under hints maybe,
        follow if they are few.
        """
        taught = [label.tokens for label in claim.labels]
        said = [answered.tokens for answered in self._place.store.queue.answers(claim.parent)]
        own: list[TokenPair] = [pair for pair in said if pair not in taught]
        aside = [label.tokens for label in (*claim.held_out, *claim.remembered)]
        return own if len(own) >= PROBE_PAIRS else [*own, *aside]

    def _training(self, claim: Claim) -> Training:
        """Half the step for each refusal: the same step again would be refused again."""
        halvings = min(claim.refusals, MAX_HALVINGS)
        training = decayed(self._place.settings, claim.used)
        return slowed(training, 2.0**-halvings)

    def _settle(
        self, claim: Claim, row: NewVersion, version: Version, samples: list[Sample]
    ) -> None:
        """Make the candidate live with its first pairs, or keep it as rejected."""
        self._place.live.shelf.publish(row.folder)  # people may make a refused one live
        if row.finding.objections:
            reason = row.finding.objection
            log.warning("Version %s was held back: %s.", row.id, reason)
            now = self._place.clock()
            self._place.store.updates.reject(claim, row, reason=reason, now=now)
        else:
            self._promote(claim, row, version, samples)
        self.spend()

    def _promote(
        self, claim: Claim, row: NewVersion, version: Version, samples: list[Sample]
    ) -> None:
        """Make the candidate live, with its first pairs in the same transaction: nobody waits."""
        place, settings = self._place, self._place.settings
        pairs = place.supply.pairs(samples, version)
        if settings.mode == "iterative":
            pairs = pairs[: settings.labels_per_update]
        assert version.folder is not None  # it was written
        read_adapter(version.folder, row.sha256)
        trained_on = [vote for label in claim.labels for vote in label.vote_ids]
        now, wanted = place.clock(), settings.votes_per_pair
        place.store.updates.promote(
            claim,
            row,
            pairs,
            trained_on=trained_on,
            now=now,
            votes_wanted=wanted,
            queue=queue_rules(place),
        )
        place.live.promoted(version)
        log.info("Version %s is live.", row.id)

    def _pause(
        self, claim: Claim, state: UpdateState, step: Step | None = None, says: str | None = None
    ) -> None:
        """Say how far it is; then people get what they wait for. Raises Stopped."""
        self._place.go_on()
        self._beat(claim, state, step, says)
        self._place.between.pause()

    def _say(self, claim: Claim, state: UpdateState, says: str | None = None) -> None:
        if says is not None:
            self._place.say(says)
            return
        doing = "Training on" if state is UpdateState.TRAINING else "Examining what came of"
        self._place.say(f"{doing} {len(claim.labels)} labels.")

    def _beat(
        self, claim: Claim, state: UpdateState, step: Step | None, says: str | None = None
    ) -> None:
        self._say(claim, state, says)
        now = self._place.clock()
        done, total = (step.done, step.total) if step else (0, 0)
        self._place.store.updates.beat(claim, state, done=done, total=total, now=now)
