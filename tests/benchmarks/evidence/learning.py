"""How an arm learns: labels in, a policy that is looked at after each so many of them.

    on-policy arms   pairs of the live version -> votes -> update -> the next version's pairs
    offline arms     pairs that are there from the start -> votes -> one training from the base,
                     over all labels so far, anew for each look

Both use what the service uses: the sampler, the reference pass and `trainer.learning.update`.
Leaves out the gate, the database, and the share of labels that the service holds out for the gate.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch

from labeler.config.parts.training import Training
from labeler.domain.labels import Opinion, Preference, TrainingLabel, VoteRules, combine
from tests.benchmarks.evidence.filled import Filler
from tests.benchmarks.evidence.fitted import FittedReward
from tests.benchmarks.evidence.measure import Look, Meter, look
from tests.benchmarks.evidence.plan import Run
from tests.benchmarks.evidence.rater import Rater
from tests.benchmarks.evidence.reinforce import Reinforce
from tests.benchmarks.evidence.world import NothingToAsk, Pair, World
from trainer.learning.reach import decayed, weighted
from trainer.learning.update import train
from trainer.policy.logps import pair_logps
from trainer.policy.policy import CANDIDATE, LIVE

MICRO_TOKENS = 2048  # more than the service's own on a CPU: a fifth faster, for more memory
CHOOSE_FROM = 4  # times as many pairs as are asked about


def learn(run: Run, world: World, rater: Rater, prompts: int) -> Iterator[Look]:
    """Do the run; a look at the policy for each number of its labels, on so many prompts."""
    world.policy.set_adapter_state(LIVE, world.untrained)
    match run.arm:
        case "start":
            yield look(run, 0, world, Meter(), prompts)
        case "rloo":
            from tests.benchmarks.evidence.peer import rloo

            yield from rloo(run, world, rater, prompts)
        case "offline" | "static":
            yield from _offline(run, world, rater, prompts)
        case "best_of":
            yield from _best_of(run, world, rater, prompts)
        case _:
            yield from _on_policy(run, world, rater, prompts)


def _on_policy(run: Run, world: World, rater: Rater, prompts: int) -> Iterator[Look]:
    """Update after update, each on labels of what the policy says by then.

    A policy that has broken down to one answer has nothing left to ask about: it stays as it is.
    """
    meter, source, votes = Meter(), PairSource(run, world), Votes(run, world, rater)
    used: deque[list[TrainingLabel]] = deque(maxlen=run.replay_max_age)
    filler = Filler(run, world) if run.fill else None
    reinforce = Reinforce(run, world) if run.arm == "reinforce" else None
    done, is_broken = 0, False
    for goal in run.labels:
        with meter.working():
            while done < goal and not is_broken:
                size = min(run.update_labels or goal, goal - done)
                try:
                    pairs = source.take(size)
                except NothingToAsk:
                    if not done:
                        raise
                    is_broken = True
                    break
                opinions = votes.cast(pairs)
                said = votes.said(opinions)
                source.hear(pairs, said)
                labels = votes.labels(pairs, said, first=done + 1)
                train_on = labels + again(used, len(labels), run, seed=done)
                filled = []
                if filler is not None:
                    filler.hear(pairs, opinions, first=done + 1)
                    train_on, filled = filler.mixed(train_on), filler.labels(size)
                weight = 1.0
                if filler is not None:
                    weight = (len(train_on) + sum(label.weight for label in filled)) / size
                if reinforce is not None:
                    reinforce.update([*train_on, *filled], used=done)
                else:
                    update(run, world, train_on, seed=done, used=done, filled=filled, weight=weight)
                used.append(labels)
                done += size
                source.publish()
        yield look(run, goal, world, meter, prompts)


def _best_of(run: Run, world: World, rater: Rater, prompts: int) -> Iterator[Look]:
    """Nothing is trained: a reward model of the votes picks each answer of several."""
    meter, source, votes = Meter(), PairSource(run, world), Votes(run, world, rater)
    filler, done = Filler(run, world), 0
    for goal in run.labels:
        with meter.working():
            pairs = source.take(goal - done)
            filler.hear(pairs, votes.cast(pairs), first=done + 1)
            done = goal
        yield look(run, goal, world, meter, prompts, best=filler.best)


def _offline(run: Run, world: World, rater: Rater, prompts: int) -> Iterator[Look]:
    """One training a look, from the base, on the labels of a growing prefix of the pairs.

    What it took is what a user would wait who had that many labels: gathering them, one training.
    """
    votes = Votes(run, world, rater)
    pairs: list[Pair] = []
    if run.arm == "static":
        pairs = world.static_pairs(run.seed, max(run.labels))
    source = PairSource(run, world)
    labels: list[TrainingLabel] = []
    gathering = Meter()
    done = 0
    for goal in run.labels:
        world.policy.set_adapter_state(LIVE, world.untrained)
        with gathering.working():
            new = pairs[done:goal] if run.arm == "static" else source.take(goal - done)
            labels += votes.labels(new, votes.on(new))
        meter = gathering.copy()
        with meter.working():
            update(run, world, labels, seed=goal)
        done = goal
        yield look(run, goal, world, meter, prompts)


class PairSource:
    """Pairs of the version that was live `run.staleness` updates ago, chosen as the run says."""

    def __init__(self, run: Run, world: World) -> None:
        self._run = run
        self._world = world
        self._prompts = world.prompts(run.seed)
        self._versions = deque([world.untrained], maxlen=run.staleness + 1)
        self._taken = 0
        self._fitted = FittedReward(world.policy, run.seed) if run.choice != "random" else None

    def publish(self) -> None:
        """The live adapter is a new version."""
        self._versions.append(self._world.policy.adapter_state(LIVE))

    def hear(self, pairs: Sequence[Pair], said: Sequence[Preference | None]) -> None:
        """What the rater said of them, for who chooses the next ones."""
        if self._fitted is not None:
            self._fitted.hear(pairs, said)

    def take(self, pairs: int) -> list[Pair]:
        """The next ones."""
        self._taken += 1
        seed = self._run.seed * 10_000 + self._taken
        adapter = LIVE
        if self._run.staleness:
            # The candidate's place is free between updates, which begin by overwriting it.
            self._world.policy.set_adapter_state(CANDIDATE, self._versions[0])
            adapter = CANDIDATE
        if self._fitted is None:
            return self._world.sample(adapter, self._prompts, pairs, seed=seed)
        many = self._world.sample(adapter, self._prompts, CHOOSE_FROM * pairs, seed=seed)
        return self._fitted.choose(many, pairs, self._run.choice)


class Votes:
    """The simulated rater's votes, and the labels they make. A tie is a vote, too."""

    def __init__(self, run: Run, world: World, rater: Rater) -> None:
        self._world = world
        self._rater = replace(rater, noise=run.noise)
        self._rules = VoteRules(ties=run.ties)
        self._rng = random.Random(f"votes {run.seed}")
        self._needs_reference = run.loss != "simpo"

    def on(self, pairs: Sequence[Pair]) -> list[Preference | None]:
        """A vote on each pair, as the rules for ties have it; None teaches nothing."""
        return self.said(self.cast(pairs))

    def cast(self, pairs: Sequence[Pair]) -> list[Opinion]:
        """A vote on each pair."""
        return [self._rater.vote(pair.margin, self._rng) for pair in pairs]

    def said(self, opinions: Sequence[Opinion]) -> list[Preference | None]:
        """What each teaches."""
        return [combine([opinion], self._rules) for opinion in opinions]

    def labels(
        self, pairs: Sequence[Pair], said: Sequence[Preference | None], *, first: int = 1
    ) -> list[TrainingLabel]:
        """A label of each vote that teaches something, with the reference's log-probabilities.

        The pairs are numbered from `first` on.
        """
        numbered = enumerate(zip(pairs, said, strict=True), start=first)
        heard = [(n, pair, one) for n, (pair, one) in numbered if one is not None]
        tokens = [(pair.prompt_tokens, *pair.tokens) for _, pair, _ in heard]
        reference = [[0.0, 0.0]] * len(tokens)
        if self._needs_reference and tokens:
            with torch.no_grad(), self._world.policy.reference():
                reference = pair_logps(self._world.policy, tokens).tolist()
        return [
            TrainingLabel((), one.target, one.weight, *pair, a, b, tie=one.tie, pair_id=number)
            for pair, (number, _, one), (a, b) in zip(tokens, heard, reference, strict=True)
        ]


def again(
    used: Iterable[list[TrainingLabel]], fresh: int, run: Run, *, seed: int
) -> list[TrainingLabel]:
    """Used labels, drawn by lot, so that they are `run.replay_share` of all in an update."""
    old = [label for labels in used for label in labels]
    wanted = min(len(old), round(fresh * run.replay_share / (1 - run.replay_share)))
    return random.Random(f"replay {run.seed} {seed}").sample(old, wanted)


def update(
    run: Run,
    world: World,
    labels: Sequence[TrainingLabel],
    *,
    seed: int,
    used: int = 0,
    filled: Sequence[TrainingLabel] = (),
    weight: float = 1.0,
) -> None:
    """One update, which becomes the live policy, after `used` labels have made others.

    Nothing to learn from: the policy stays what it is. `weight` is that of all labels, of as many
    decided votes as were cast.
    """
    if not labels and not filled:
        return
    settings = Training(
        loss=run.loss,
        beta=run.beta,
        label_smoothing=run.label_smoothing,
        learning_rate=run.learning_rate,
        decay_labels=run.decay_labels,
        passes=run.passes,
        batch_pairs=run.batch_pairs,
        max_grad_norm=world.settings.max_grad_norm,
        micro_tokens=world.settings.micro_tokens or MICRO_TOKENS,
        reference=run.reference,
    )
    seed += run.seed * 10_000
    settings = weighted(decayed(settings, used), weight)
    for _ in train(world.policy, labels, settings, seed=seed, filled=filled):
        pass
    world.policy.copy_adapter(CANDIDATE, LIVE)
