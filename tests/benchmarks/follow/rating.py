"""One run: the service's own loop, with a scripted rater in place of people, looked at on the way.

Votes, updates, gate and promotions are the product's. At each look the live version answers the
same prompts, none of which it learns on.
"""

import json
import logging
import random
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from labeler.config.load import load_settings
from labeler.config.policies import first_prompts
from labeler.config.settings import Settings
from labeler.domain.messages import Messages
from labeler.domain.response_stats import repetition
from labeler.files.prompts import read_prompts
from labeler.roles.scheduler import open_due_update
from labeler.store.records import Ballot, LeasedPair
from tests.benchmarks.follow.tastes import TASTES, Taste
from tests.support.loop import Loop
from trainer.policy.logps import logps_under
from trainer.sampling.local import LocalSampler
from trainer.sampling.sampler import Version

SECONDS_A_VOTE = 10.0
SPLIT_SEED = 0  # which prompts are kept for the looks is the same in every run


@dataclass(frozen=True)
class Plan:
    """What all runs share. `settings` are flags of the service; `flips` is the share of votes that
    say the opposite; `prompts` are answered once at each look. After `turn` votes the rater wants
    the opposite.
    """

    settings: Mapping[str, str]
    votes: tuple[int, ...] = (0, 16, 32, 64, 128, 256)
    flips: float = 0.25
    prompts: int = 32
    turn: int | None = None


@dataclass(frozen=True)
class Run:
    """Whose votes, and by which draw."""

    taste: str
    seed: int


@dataclass(frozen=True)
class Look:
    """The live version after so many votes, `labels` of which it has been trained on.

    `traits` are those of its answers, in the order of the prompts, and `texts` the first of them.
    `kl` is from the base, nats a token of its own answers. `unfinished` is the share that was cut,
    `repetition` that of four-token sequences that stood in the answer before.
    """

    votes: int
    labels: int
    version: int
    refused: int
    traits: list[float]
    words: float
    kl: float
    unfinished: float
    repetition: float
    texts: list[str] = field(default_factory=list)


TEXTS = 6


class Rating(Loop):
    """The loop under one taste."""

    def __init__(self, settings: Settings, taste: Taste, plan: Plan) -> None:
        super().__init__(settings)
        self.voted = 0
        self._likes = taste.likes
        self._plan = plan

    def rate(self, until: int) -> None:
        """Vote up to so many times, and run each update that falls due."""
        rater = self.store.raters.local(now=self.now)
        while self.voted < until:
            self._work()
            for pair in self.next_pair(rater):
                self.now += SECONDS_A_VOTE
                ballot = Ballot(pair.lease_id, pair.lease_id, self._choice(pair))
                self.store.votes.record(ballot, rater_id=rater, now=self.now)
                self.voted += 1
        self._work()

    def live_version(self) -> int:
        """The number of the version that is live."""
        live = self.store.versions.live()
        assert live is not None
        return live.id

    def _work(self) -> None:
        """Until the worker has nothing left to do: the rater is the slower of the two."""
        open_due_update(self.settings, self.store, self.now)
        while self.worker.step():
            pass

    def _choice(self, pair: LeasedPair) -> str:
        """A tie where the taste has nothing to say."""
        margin = self._likes(pair.left) - self._likes(pair.right)
        if margin == 0:
            return "tie"
        if self._plan.turn is not None and self.voted >= self._plan.turn:
            margin = -margin
        return "left" if (margin > 0) != (self.rng.random() < self._plan.flips) else "right"


def follow(run: Run, plan: Plan) -> Iterator[Look]:
    """The looks of one run, each as soon as it is there. The same version is looked at once."""
    taste = TASTES[run.taste]
    with tempfile.TemporaryDirectory() as folder:
        flags = {**plan.settings, "data_dir": folder, "seed": run.seed}
        learned, asked = _split(load_settings(flags, {}), plan.prompts)
        prompts = Path(folder) / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": one}) + "\n" for one in learned))
        settings = load_settings(flags | {"prompts": prompts}, {})
        rating = Rating(settings, taste, plan)
        last: Look | None = None
        for votes in plan.votes:
            rating.rate(votes)
            if last and last.version == rating.live_version():
                last = replace(last, votes=votes)
            else:
                last = look(rating, taste, asked)
            yield last


def looks_of(run: Run, plan: Plan) -> list[Look]:
    """One run, in a process of its own; a line of the log at each look."""
    warnings.simplefilter("ignore", FutureWarning)
    logging.getLogger("trainer").setLevel(logging.ERROR)
    looks = []
    for found in follow(run, plan):
        looks.append(found)
        mean = sum(found.traits) / len(found.traits)
        tqdm.write(
            f"{run.taste}, seed {run.seed}, {found.votes} votes, version {found.version}: "
            f"{mean:.3g}, KL {found.kl:.2f}, {found.words:.0f} words, {found.unfinished:.0%} cut, "
            f"{found.repetition:.0%} repeated, {found.refused} refused"
        )
    return looks


def look(rating: Rating, taste: Taste, asked: list[Messages]) -> Look:
    """Have the live version answer."""
    policy, store = rating.policy, rating.store
    live = rating.live_version()
    prompts = [policy.prompt_tokens(messages) for messages in asked]
    version, seed = Version(live, None), rating.settings.seed
    drawn = LocalSampler(policy).sample(version, prompts, rating.settings, seed=seed, copies=1)
    answers = [responses[0] for _, responses in sorted(drawn)]
    rows = [(p, a.tokens, a.tokens) for p, a in zip(prompts, answers, strict=True)]
    reference = logps_under(policy, None, rows)[:, 0].sum().item()
    tokens = sum(len(answer.tokens) for answer in answers)
    count = len(answers)
    findings = [version.finding for version in store.versions.all()]
    return Look(
        votes=rating.voted,
        labels=sum(finding.labels or 0 for finding in findings),
        version=live,
        refused=sum(bool(finding.objections) for finding in findings),
        traits=[taste.trait(answer.text) for answer in answers],
        words=sum(len(answer.text.split()) for answer in answers) / count,
        kl=max(0.0, (sum(answer.logp for answer in answers) - reference) / tokens),
        unfinished=sum(answer.finish == "length" for answer in answers) / count,
        repetition=sum(repetition(answer.tokens) for answer in answers) / count,
        texts=[answer.text for answer in answers[:TEXTS]],
    )


def _split(settings: Settings, count: int) -> tuple[list[Messages], list[Messages]]:
    """Prompts to learn on, and `count` others for the looks."""
    prompts = read_prompts(Path(settings.prompts or first_prompts(settings.policy))).prompts
    random.Random(SPLIT_SEED).shuffle(prompts)
    return prompts[count:], prompts[:count]
