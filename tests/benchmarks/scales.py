"""The simulated loop beside the real one on the starter, and at the scales of labeler/README.md.

    python -m tests.benchmarks.scales              a minute
    python -m tests.benchmarks.scales --check      minutes of processor time

The real loop has a real store, policy, worker and gate. Its clock is the processor time of this
process, so it does not matter what else the machine does; people act between its moves, and what
they cost is not counted. They are as quick as the simulated ones, and the seconds of a pair and of
an update are measured in the same run.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from labeler.config.load import load_settings
from labeler.domain.states import PairState
from labeler.files.prompts import add_first_prompts
from labeler.roles.scheduler import open_due_update
from labeler.store import open_store
from labeler.store.database import Database
from labeler.store.records import Ballot, LeasedPair
from labeler.store.tables import Pair
from tests.benchmarks.simulation import Found, Loop, Rates
from tests.support.store import rows
from tests.support.worker import HandTurned
from trainer.policy.load import load_policy
from trainer.worker.jobs.sample import SampleJob
from trainer.worker.worker import Turn

# One pass over the votes, all of which the gate lets train: the simulation refuses no update.
SETTINGS: dict[str, Any] = {"fill": 0, "device": "cpu", "dtype": "float32", "threads": 1}
SETTINGS |= {"gate_max_kl_live": 50.0, "gate_max_agreement_drop": 1.0}
REST_SECONDS = 0.1
CHECKED = (4, 16, 48)  # people: at ease, busy, and more than one process can serve
VOTE_SECONDS = 6.0
WARM_UP_SECONDS = 30.0
READING_SECONDS = 20.0  # of a person, a pair
# The arithmetic of labeler/README.md: a model of 8 billion on GPUs that draw 10,000 tokens a second
# and multiply and add 2e14 times, pairs of 100 + 2 x 200 tokens. None of this was measured here.
DRAWN = 2 * 200 / 10_000  # seconds of a pair
LEARNED = 500 * 4 * 8e9 / 4e14  # and of a label
SCALES = {
    "10": Rates(10, READING_SECONDS, DRAWN, 30.0, LEARNED),
    "1,000": Rates(1_000, READING_SECONDS, DRAWN, 30.0, LEARNED / 4, labels=1_024, samplers=3),
    "100,000": Rates(
        100_000, READING_SECONDS, DRAWN, 60.0, LEARNED / 64, labels=8_192, samplers=250
    ),
}


@dataclass
class Person:
    """Wants a pair since `asked`, or holds one and votes at `votes_at`."""

    asked: float
    pair: LeasedPair | None = None
    votes_at: float = 0.0


class RealLoop:
    """All of the service but its page, in processor time."""

    def __init__(self, people: int, folder: Path) -> None:
        settings = load_settings({"data_dir": folder, **SETTINGS}, {})
        self.store = open_store(settings.database_url)
        self._database = Database(settings.database_url)
        add_first_prompts(settings, self.store, lambda _: None)
        self._draw = random.Random(1)
        self._rested, self._acting = 0.0, True
        policy = load_policy(settings)
        self._turned = HandTurned(self.store, policy, settings, clock=self.clock, prompts=())
        self._settings = settings
        self._batches: list[tuple[float, float]] = []  # when, seconds
        self._time(self._turned.job(SampleJob))
        self._turned.work()
        now = self.clock()
        self._local = self.store.raters.local(now=now)
        asked = [now + self._draw.uniform(0, VOTE_SECONDS) for _ in range(people)]
        self._people = [Person(at) for at in asked]
        self._waits: list[tuple[float, float]] = []  # when, seconds
        self._ages: list[tuple[float, int]] = []  # when, versions
        self._lives = [0]
        self.people_seconds = 0.0
        self._acting = False

    def clock(self) -> float:
        """Processor seconds, without those of people, and with what was rested."""
        if not self._acting:
            self._acting, began = True, time.process_time()
            self._act(self._rested + began)
            spent = time.process_time() - began
            self._rested -= spent
            self.people_seconds += spent
            self._acting = False
        return self._rested + time.process_time()

    def run(self, seconds: float) -> tuple[Found, Rates]:
        """What came of it after the warm-up, and the rates that it was made of."""
        start = self.clock() + WARM_UP_SECONDS
        while (now := self.clock()) < start + seconds:
            open_due_update(self._settings, self.store, now)
            if self._turned.turn() is not Turn.WORKED:
                self._rested += REST_SECONDS
        return self._found(start, seconds), self._rates()

    @property
    def votes(self) -> int:
        """How many there were."""
        return len(self._ages)

    def _act(self, now: float) -> None:
        """Who is due votes; who wants a pair gets one if there is one, first who waits longest."""
        for person in self._people:
            if person.pair is not None and person.votes_at <= now:
                ballot = Ballot(person.pair.lease_id, person.pair.lease_id, "left")
                self.store.votes.record(ballot, rater_id=self._local, now=person.votes_at)
                self._ages.append((now, self._age(person.pair.version_id)))
                person.asked, person.pair = person.votes_at, None
        asked = [
            (each.asked, number)
            for number, each in enumerate(self._people)
            if each.pair is None and each.asked <= now
        ]
        for _, number in sorted(asked):
            person = self._people[number]
            found = self.store.queue.lease(
                rater_id=self._local,
                holder=str(number),
                wanted=1,
                seconds=1e6,
                now=now,
                rng=self._draw,
                max_staleness=self._settings.served_staleness,
            )
            if not found:  # nor is there one for those behind
                return
            self._waits.append((now, now - person.asked))
            person.pair = found[0]
            person.votes_at = now + self._draw.expovariate(1 / VOTE_SECONDS)

    def _age(self, version: int) -> int:
        """How many versions have gone live since this one."""
        live = self.store.versions.live()
        assert live is not None
        if live.id != self._lives[-1]:
            self._lives.append(live.id)
        return len(self._lives) - 1 - self._lives.index(version)

    def _time(self, job: SampleJob) -> None:
        """Note the seconds of each batch."""
        sample = job.top_up

        def timed(count: int) -> bool:
            began = self.clock()
            done = sample(count)
            self._batches.append((began, self.clock() - began))
            return done

        job.top_up = timed  # type: ignore[method-assign]

    def _found(self, start: float, seconds: float) -> Found:
        pairs = rows(self._database, Pair, Pair.created_at >= start)
        done = [row for row in self.store.versions.all() if row.created_at >= start]
        return Found.of(
            [wait for at, wait in self._waits if at >= start],
            [age for at, age in self._ages if at >= start],
            seconds=seconds,
            max_staleness=self._settings.max_staleness,
            wasted=sum(pair.state is PairState.EXPIRED for pair in pairs) / len(pairs),
            learned=sum(row.finding.labels or 0 for row in done),
            updates=len(done),
        )

    def _rates(self) -> Rates:
        """Seconds of a pair and of an update, as they were."""
        pairs = rows(self._database, Pair)
        updates = [row for row in self.store.versions.all() if row.id]
        gated = self._settings.gate_prompts * len(updates)
        sampling = sum(seconds for _, seconds in self._batches)
        labels, net = [], []
        for row in updates:
            finding = row.finding
            began = row.created_at - (finding.seconds or 0.0)
            inside = sum(s for at, s in self._batches if began <= at < row.created_at)
            labels.append(finding.labels or 0)
            net.append((finding.seconds or 0.0) - inside)
        slope = base = 0.0
        if len(set(labels)) > 1:
            slope, base = statistics.linear_regression(labels, net)
        if not len(set(labels)) > 1 or slope < 0 or base < 0:
            slope, base = 0.0, statistics.fmean(net)
        return Rates(
            raters=len(self._people),
            vote_seconds=VOTE_SECONDS,
            pair_seconds=sampling / max(1, len(pairs) - gated),
            update_seconds=base,
            label_seconds=slope,
            labels=self._settings.labels_per_update,
            queue_pairs=self._settings.queue_pairs,
            gate_pairs=self._settings.gate_prompts,
            max_staleness=self._settings.max_staleness,
            held_out_share=self._settings.held_out_share,
        )


def check(seconds: float, sizes: Sequence[int]) -> None:
    """Print the real loop beside the simulated one, of the same rates."""
    for people in sizes:
        with tempfile.TemporaryDirectory() as folder:
            loop = RealLoop(people, Path(folder))
            real, rates = loop.run(seconds)
        runs = [Loop(rates, seed).run(seconds, warm_up=WARM_UP_SECONDS) for seed in range(8)]
        print(f"\n{people} people, {rates}", flush=True)
        print(f"lease and vote: {1000 * loop.people_seconds / loop.votes:.1f} ms of the database")
        for field in fields(Found):
            simulated = [getattr(run, field.name) for run in runs]
            low, high = min(simulated), max(simulated)
            print(
                f"{field.name:17} real {getattr(real, field.name):8.2f}   simulated "
                f"{statistics.fmean(simulated):8.2f} ({low:.2f} to {high:.2f})"
            )


def scales(names: Sequence[str]) -> None:
    """Print what the simulation says at each scale."""
    for name in names:
        rates = SCALES[name]
        found = Loop(rates).run(600.0 if rates.raters < 50_000 else 180.0, warm_up=180.0)
        print(f"\n{name} people, {rates}")
        for field in fields(Found):
            print(f"{field.name:17} {getattr(found, field.name):10.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--people", type=int, nargs="+", default=CHECKED)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.check:
        check(asked.seconds, asked.people)
    else:
        scales(list(SCALES))
