"""Is AdamW's state better carried over between short updates, or reset? `make bench-optimizer`.

The starter runs its loop in one process, once each way a seed: pairs of the live policy, labels of
a simulated rater (Bradley-Terry on the score of the grammar, slope 1), one update, the new one is
live. Both ways see the same prompts. Then held-out wordings are answered, and their mean score
compared. Printed: the gain over the untrained starter of each way, and the difference (carried
over minus reset), with 95 % intervals of the mean over seeds.
"""

import argparse
import math
import random
import statistics
from collections.abc import Sequence

import torch
from tqdm import tqdm

from labeler.config.load import load_settings
from labeler.config.settings import Settings
from labeler.domain.labels import TrainingLabel
from trainer.learning.update import train
from trainer.policy.logps import pair_logps
from trainer.policy.policy import CANDIDATE, LIVE, Policy, load_policy
from trainer.programs.setup import policy_settings, sampling_settings, training_settings
from trainer.sampling.local import Sampler, worth_asking
from trainer.starter.grammar import held_out_prompts, prompts, score

LABELS_PER_UPDATE = 16


class Run:
    """One seed, one way."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.policy: Policy = load_policy(policy_settings(settings))
        self.sampler = Sampler(self.policy)
        self.rng = random.Random(settings.seed)

    def gain(self, updates: int, *, carried_over: bool) -> float:
        """Rise of the mean score on held-out wordings."""
        before, state = self.mean_score(), None
        for number in range(updates):
            labels = self.labels(number)
            training = training_settings(self.settings, number)
            step = list(train(self.policy, labels, training, state))[-1]
            state = step.optimizer if carried_over else None
            self.policy.copy_adapter(CANDIDATE, LIVE)
        return self.mean_score() - before

    def labels(self, number: int) -> list[TrainingLabel]:
        """Labels on fresh pairs of the live policy."""
        asked = self.rng.sample([text for text, _ in prompts()], 2 * LABELS_PER_UPDATE)
        tokens = [self.policy.prompt_tokens([{"role": "user", "content": t}]) for t in asked]
        pairs = self.sampler.sample(LIVE, tokens, sampling_settings(self.settings), seed=number)
        kept = [
            (text, prompt, a, b)
            for text, prompt, (a, b) in zip(asked, tokens, pairs, strict=True)
            if worth_asking((a, b))
        ][:LABELS_PER_UPDATE]
        with torch.no_grad(), self.policy.reference():
            rows = [(prompt, a.tokens, b.tokens) for _, prompt, a, b in kept]
            reference = pair_logps(self.policy, rows).tolist()
        labels = []
        for (text, prompt, a, b), logps in zip(kept, reference, strict=True):
            margin = score(text, a.text) - score(text, b.text)
            target = float(self.rng.random() < 1 / (1 + math.exp(-margin)))
            labels.append(TrainingLabel((text,), target, 1.0, prompt, a.tokens, b.tokens, *logps))
        return labels

    def mean_score(self) -> float:
        """Of two responses to each held-out wording."""
        asked = [text for text, _ in held_out_prompts()]
        tokens = [self.policy.prompt_tokens([{"role": "user", "content": t}]) for t in asked]
        pairs = self.sampler.sample(LIVE, tokens, sampling_settings(self.settings), seed=1)
        return statistics.mean(
            score(text, response.text)
            for text, pair in zip(asked, pairs, strict=True)
            for response in pair
        )


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % half-width over seeds, by the normal approximation."""
    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):+.3f} +- {half:.3f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.optimizer_state", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--updates", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    gains: dict[bool, list[float]] = {True: [], False: []}
    for seed in tqdm(range(options.seeds), desc="seeds"):
        for carried_over in gains:
            run = Run(load_settings({"seed": seed}, {}))
            gains[carried_over].append(run.gain(options.updates, carried_over=carried_over))
        tqdm.write(
            f"seed {seed}: carried over {gains[True][-1]:+.3f}, reset {gains[False][-1]:+.3f}"
        )
    print(f"carried over {interval(gains[True])}, reset {interval(gains[False])}")
    differences = [a - b for a, b in zip(gains[True], gains[False], strict=True)]
    print(f"carried over minus reset {interval(differences)}, {options.seeds} seeds")


if __name__ == "__main__":
    main()
