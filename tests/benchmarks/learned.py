"""How good the judge `learned` is, by labels, and how often it is trusted without cause.

Run by `python -m tests.benchmarks.learned`. The starter answers its prompts; a simulated rater
prefers by the grammar's score with noise (Bradley-Terry), so strong that asked twice it agrees with
itself three times in four. Accuracy is on pairs of prompts that no label was about, against the
order of the score itself; equal scores are left out. A rater who tosses a coin shows how often the
judge is trusted though there is nothing to learn, looked at every eight labels.
"""

import argparse
import json
import math
import random
import statistics
import time
from dataclasses import dataclass

import torch
from tqdm import tqdm

from labeler.config.load import load_settings
from labeler.config.starter import STARTER_PROMPTS, STARTER_REWARD
from labeler.domain.estimate import Estimate
from labeler.domain.judging import Cause, Example, Judge, Question
from labeler.domain.labels import Preference
from trainer.judge.features import Features
from trainer.judge.learned import MIN_DECIDED, REFIT, LearnedJudge
from trainer.judge.reward import RewardModel
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.samples import worth_asking
from trainer.starter.grammar import score

SIZES = (32, 64, 128, 256, 512, 1024)
SELF_AGREEMENT = 0.75
TEST_SHARE = 0.4  # of the prompts


@dataclass(frozen=True)
class Pair:
    """A question, and by how much the first response is better."""

    question: Question
    margin: float


def sampled(pairs: int, settings_seed: int = 0) -> tuple[Policy, list[Pair]]:
    """The starter, and pairs of its own responses."""
    settings = load_settings({"seed": settings_seed}, {})
    policy = load_policy(settings)
    sampler = LocalSampler(policy)
    prompts = [json.loads(line)["prompt"] for line in STARTER_PROMPTS.read_text().splitlines()]
    found: list[Pair] = []
    asked_for = 0
    with tqdm(total=pairs, desc="pairs", leave=False) as bar:
        while len(found) < pairs:
            texts = [prompts[(asked_for + place) % len(prompts)] for place in range(16)]
            asked = [[{"role": "user", "content": text}] for text in texts]
            tokens = [policy.prompt_tokens(messages) for messages in asked]
            drawn = sampler.draw(LIVE, tokens, settings, seed=asked_for)
            for text, messages, (a, b) in zip(texts, asked, drawn, strict=True):
                if worth_asking((a, b)):
                    margin = score(text, a.text) - score(text, b.text)
                    found.append(Pair(Question(messages, a.text, b.text), margin))
            asked_for += len(texts)
            bar.update(len(texts))
    return policy, found


def slope_of(pairs: list[Pair]) -> float:
    """The slope of a rater who agrees with themselves as often as SELF_AGREEMENT."""
    low, high = 0.01, 100.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        p = torch.sigmoid(middle * torch.tensor([pair.margin for pair in pairs]))
        agrees = (p**2 + (1 - p) ** 2).mean().item()
        low, high = (middle, high) if agrees < SELF_AGREEMENT else (low, middle)
    return low


def examples(pairs: list[Pair], slope: float, rng: random.Random) -> list[Example]:
    """One label a pair; a slope of 0 is a coin."""
    return [
        Example(number, pair.question, Preference(float(rng.random() < _p(slope * pair.margin))))
        for number, pair in enumerate(pairs)
    ]


@dataclass(frozen=True)
class Result:
    """Shares: right where it answers, right if it had to answer all, unsure; and how many pairs."""

    sure: float
    all: float
    unsure: float
    pairs: int


def result_of(judge: Judge, pairs: list[Pair]) -> Result:
    """How a judge that gives scores does on these pairs; those of equal scores are left out."""
    sided = [pair for pair in pairs if pair.margin != 0]
    said = judge.judge([pair.question for pair in sided])
    wins, sure = [], []
    for judgement, pair in zip(said, sided, strict=True):
        assert judgement.scores is not None
        lean = (judgement.scores[0] - judgement.scores[1]) * pair.margin
        wins.append(0.5 if lean == 0 else float(lean > 0))
        if judgement.probability is not None:
            sure.append(wins[-1])
    unsure = sum(one.cause is Cause.UNSURE for one in said) / len(said)
    return Result(statistics.mean(sure), statistics.mean(wins), unsure, len(sided))


def curve(features: Features, train: list[Pair], test: list[Pair], seeds: int) -> None:
    """Print accuracy, with the 95 % interval of its mean over seeds, of the trusted runs."""
    slope = slope_of(train)
    print("labels  trusted  right where sure  right on all   unsure  fit, s")
    for size in (size for size in SIZES if size <= len(train)):
        runs, took, trusted = [], [], 0
        for seed in tqdm(range(seeds), desc=f"{size} labels", leave=False):
            rng = random.Random(seed)
            labels = examples(rng.sample(train, size), slope, rng)
            judge = LearnedJudge(features, seed=seed)
            judge.learn(labels[:1])  # nothing yet
            started = time.monotonic()
            judge.learn(labels)
            took.append(time.monotonic() - started)
            if judge.fit is not None and judge.fit.is_trusted:
                trusted += 1
                runs.append(result_of(judge, test))
        if not runs:
            print(f"{size:>6}  {trusted:>3}/{seeds}")
            continue
        sure, of_all = (mean_of([run.sure for run in runs]), mean_of([run.all for run in runs]))
        unsure = statistics.mean(run.unsure for run in runs)
        print(
            f"{size:>6}  {trusted:>3}/{seeds}   {sure}   {of_all}   {unsure:.1%}   "
            f"{statistics.mean(took):.2f}"
        )


def mean_of(rates: list[float]) -> str:
    """A mean with its 95 % interval, from the spread of the runs."""
    spread = 1.96 * statistics.stdev(rates) / math.sqrt(len(rates)) if len(rates) > 1 else math.nan
    return f"{statistics.mean(rates):.1%} +- {spread:.1%}"


def false_trust(features: Features, train: list[Pair], runs: int, most: int) -> None:
    """Print in how many runs of coin flips the judge was trusted at any look."""
    ever, looks = 0, 0
    for seed in tqdm(range(runs), desc="coin flips", leave=False):
        rng = random.Random(seed)
        labels = examples(rng.sample(train, most), 0.0, rng)
        judge = LearnedJudge(features, seed=seed)
        was = False
        for count in range(MIN_DECIDED, most + 1, REFIT):
            judge.learn(labels[:count])
            now = judge.fit is not None and judge.fit.is_trusted
            looks += now
            was |= now
        ever += was
    found = Estimate.share(ever, runs, "no run")
    print(
        f"coin flips, looked at every {REFIT} labels to {most}: trusted at some look in "
        f"{ever}/{runs} runs [{found.low:.1%}, {found.high:.1%}], {looks / runs:.2f} looks a run"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.learned", description=__doc__)
    parser.add_argument("--pairs", type=int, default=1800, help="pairs sampled, for all of it")
    parser.add_argument("--seeds", type=int, default=8, help="runs of the learning curve")
    parser.add_argument("--coins", type=int, default=100, help="runs of coin flips")
    parser.add_argument("--coin-labels", type=int, default=512, help="labels of such a run")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    policy, pairs = sampled(options.pairs)
    prompts = sorted({pair.question.messages[0]["content"] for pair in pairs})
    held_out = set(random.Random(0).sample(prompts, int(TEST_SHARE * len(prompts))))
    train = [pair for pair in pairs if pair.question.messages[0]["content"] not in held_out]
    test = [pair for pair in pairs if pair.question.messages[0]["content"] in held_out]
    features = Features(policy)
    features.of([pair.question for pair in pairs])
    if options.seeds:
        curve(features, train, test, options.seeds)
        result = result_of(RewardModel(str(STARTER_REWARD), policy.device), test)
        starter = Estimate.rate(result.all, result.pairs)
        print(f"starter: {starter:.1%} on all")
    if options.coins:
        false_trust(features, train, options.coins, min(options.coin_labels, len(train)))


def _p(margin: float) -> float:
    return 1 / (1 + math.exp(-margin))


if __name__ == "__main__":
    main()
