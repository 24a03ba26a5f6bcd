"""Which pair to ask about: how much simulated votes teach a reward model, by rule of acquisition.

Run by `make bench-asking`. SmolLM2 answers prompts. A scripted rater of one taste is asked, and
says the opposite in a quarter of its votes. Each vote is on one of the pairs of a few prompts:

    random        any of them
    d_optimal     the one that tells most, as the service picks (`trainer.judge.acquisition`)
    disagreement  the one on which the ensemble's members differ most; any, until there is one

Right is how often the reward model of `--fill` ranks two replies to prompts that no vote was about
as the taste does, of those that differ. Where there is no model yet, that is a half.
"""

import argparse
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from tqdm import tqdm

from labeler.config.load import load_settings
from labeler.config.policies import first_prompts
from labeler.domain.judging import Example, question
from labeler.domain.labels import Preference
from labeler.domain.messages import Messages
from labeler.files.prompts import read_prompts
from tests.benchmarks.follow.tastes import TASTES, Taste
from trainer.judge.acquisition import pick
from trainer.judge.features import Features
from trainer.judge.filling import MIN_DECIDED, learners
from trainer.judge.fitting import Fit, decided, fit
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE
from trainer.sampling.local import LocalSampler
from trainer.sampling.recommended import as_recommended
from trainer.sampling.sampler import Version
from trainer.worker.jobs.fill import REFIT

SIZES = (16, 32, 64)
FLIPS = 0.25
TEST_SHARE = 0.3  # of the prompts
REPLIES = 4  # to each prompt
OFFERED = 4  # prompts, of whose pairs one is asked about

Pair = tuple[int, int, int]  # a prompt, and two of its replies, by their places


@dataclass(frozen=True)
class Bank:
    """Prompts with their replies, and what the base makes of them."""

    messages: Sequence[Messages]
    texts: Sequence[Sequence[str]]
    features: Features

    def pairs(self, prompts: Sequence[int]) -> list[Pair]:
        """All pairs of replies to these prompts."""
        places = combinations(range(REPLIES), 2)
        return [(prompt, a, b) for a, b in places for prompt in prompts]

    def both(self, pair: Pair) -> tuple[str, str]:
        """The texts of a pair."""
        prompt, a, b = pair
        return self.texts[prompt][a], self.texts[prompt][b]


@dataclass(frozen=True)
class Point:
    """After so many votes: how many preferred one, and how often the model is right."""

    votes: int
    decided: int
    right: float


def make_bank(policy_name: str, prompts: int, seed: int) -> Bank:
    """The policy's replies, at its own settings, 128 tokens at most."""
    flags = {"policy": policy_name, "max_new_tokens": 128, "seed": seed}
    settings = load_settings(flags, {})
    policy = load_policy(settings)
    settings, _ = as_recommended(settings, policy.shipped_generation_config)
    policy.temperature = settings.temperature
    policy.versions[LIVE] = 0
    asked = read_prompts(Path(first_prompts(settings.policy))).prompts
    asked = random.Random(seed).sample(asked, prompts)
    sampler = LocalSampler(policy)
    tokens = [policy.prompt_tokens(messages) for messages in asked]
    drawn = {}
    with tqdm(total=prompts, desc="prompts answered", leave=False) as bar:
        for first in range(0, prompts, 8):
            some = tokens[first : first + 8]
            for place, replies in sampler.sample(
                Version(0, None), some, settings, seed=seed + first, copies=REPLIES
            ):
                drawn[first + place] = [reply.text for reply in replies]
                bar.update()
    features = Features(policy)
    features.of_each([(said, text) for n, said in enumerate(asked) for text in drawn[n]])
    return Bank(asked, [drawn[n] for n in range(prompts)], features)


class Rater:
    """Votes by one taste, and what was learned from it."""

    def __init__(self, bank: Bank, taste: Taste, seed: int) -> None:
        self.bank = bank
        self.rng = random.Random(seed)
        self.seed = seed
        self.examples: list[Example] = []
        self.asked: list[Pair] = []
        self.fit: Fit | None = None
        self._taste = taste

    def margin(self, pair: Pair) -> float:
        """By how much the taste likes the first reply better."""
        first, second = self.bank.both(pair)
        return self._taste.likes(first) - self._taste.likes(second)

    def vote(self, pair: Pair) -> None:
        """Say which is better, and learn from it now and then, as the service does."""
        first, second = self.bank.both(pair)
        likes = self.margin(pair) > 0
        if self.margin(pair):
            likes ^= self.rng.random() < FLIPS
            said = Preference(float(likes), 0.0, 1.0)
        else:
            said = Preference(0.0, 1.0, 1.0)
        asked = question(self.bank.messages[pair[0]], first, second)
        self.asked.append(pair)
        self.examples.append(Example(len(self.asked), asked, said))
        if len(self.asked) % REFIT == 0 and self.decided >= MIN_DECIDED:
            self.fit = fit(learners(self.bank.features, self.examples), self.seed)

    @property
    def decided(self) -> int:
        """How many votes preferred one."""
        return decided([example.said for example in self.examples])

    def margins(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """What each member of the ensemble says of P pairs, P(first is better) (P, M)."""
        assert self.fit is not None
        asked = [question(self.bank.messages[pair[0]], *self.bank.both(pair)) for pair in pairs]
        both = torch.stack([x for x in self.bank.features.of(asked) if isinstance(x, torch.Tensor)])
        heads = self.fit.heads
        return heads.probabilities((both[:, 0] - both[:, 1]) @ heads.weights)

    def right(self, prompts: Sequence[int]) -> float:
        """How often the model ranks as the taste does, of pairs that differ in it."""
        pairs = [pair for pair in self.bank.pairs(prompts) if self.margin(pair)]
        if self.fit is None or not pairs:
            return 0.5
        said = self.margins(pairs).mean(dim=1)
        sides = torch.tensor([self.margin(pair) > 0 for pair in pairs])
        return ((said > 0.5) == sides).double().mean().item()


def at_random(rater: Rater, offered: Sequence[int]) -> Pair:
    """Any pair of the prompts that are offered."""
    return rater.rng.choice(rater.bank.pairs(offered))


def d_optimal(rater: Rater, offered: Sequence[int]) -> Pair:
    """The pair that tells most."""
    asked = [rater.bank.both(pair) for pair in rater.asked]
    [(prompt, a, b)] = pick(asked, [rater.bank.texts[prompt] for prompt in offered], 1)
    return offered[prompt], a, b


def disagreement(rater: Rater, offered: Sequence[int]) -> Pair:
    """The pair on which members differ most."""
    if rater.fit is None:
        return at_random(rater, offered)
    pairs = rater.bank.pairs(offered)
    return pairs[int(rater.margins(pairs).std(dim=1).argmax())]


RULES: dict[str, Callable[[Rater, Sequence[int]], Pair]] = {
    "random": at_random,
    "d_optimal": d_optimal,
    "disagreement": disagreement,
}


def run(bank: Bank, taste: Taste, rule: str, seed: int) -> list[Point]:
    """One rater, asked by one rule."""
    rater = Rater(bank, taste, seed)
    prompts = rater.rng.sample(range(len(bank.texts)), len(bank.texts))
    held = round(TEST_SHARE * len(prompts))
    found = []
    for number in range(1, max(SIZES) + 1):
        pair = RULES[rule](rater, rater.rng.sample(prompts[held:], OFFERED))
        rater.vote(pair)
        if number in SIZES:
            found.append(Point(number, rater.decided, rater.right(prompts[:held])))
    return found


def mean_of(rates: Sequence[float]) -> str:
    """A mean with its 95 % interval, from the spread of the runs."""
    spread = 1.96 * statistics.stdev(rates) / math.sqrt(len(rates)) if len(rates) > 1 else math.nan
    return f"{statistics.mean(rates):.0%} +- {spread:.0%}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="smollm2", help="as of the service")
    parser.add_argument("--prompts", type=int, default=96)
    parser.add_argument("--seeds", type=int, default=12, help="raters of each taste")
    parser.add_argument("--tastes", default=",".join(TASTES))
    options = parser.parse_args()
    bank = make_bank(options.policy, options.prompts, seed=0)
    print("taste      rule          votes  decided  right")
    for name in options.tastes.split(","):
        for rule in RULES:
            seeds = tqdm(range(options.seeds), desc=f"{name}, {rule}", leave=False)
            runs = [run(bank, TASTES[name], rule, seed) for seed in seeds]
            for points in zip(*runs, strict=True):
                share = statistics.mean(point.decided for point in points)
                right = mean_of([point.right for point in points])
                print(f"{name:10} {rule:12} {points[0].votes:6}  {share:7.1f}  {right}", flush=True)


if __name__ == "__main__":
    main()
