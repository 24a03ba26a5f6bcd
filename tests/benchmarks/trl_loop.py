"""The whole loop against TRL's OnlineDPOTrainer: `python -m tests.benchmarks.trl_loop [--json]`.

The starter answers 512 prompts twice, the grammar's score says which answer is preferred (the first
if they are equal), and the policy learns from it: at temperature 1 without a cut, at most 160 new
tokens, one pass, sigmoid loss with the starter's beta and learning rate, LoRA of rank 16 on all
linear layers, in float32, on the same two threads.

TRL makes one step a batch, of pairs that the weights of that moment said. It runs without gradient
checkpointing, which is what lets it use a cache, at each of several batch sizes; the fastest on the
first pairs is compared. Ours runs in two ways with optimiser batches of the same size:

    every step     samples one batch, labels it, makes one step: as on-policy as TRL
    every update   samples and labels 64 pairs, then makes an update of as many steps as they fill:
                   as the service does, where people label a few dozen pairs of one version

AdamW starts afresh with each update of ours, while TRL's goes on: that changes what is learned, not
what it costs. Both work the reference log-probabilities out as part of the loop. Each run is a
process of its own, all take turns, and ratios are worked out within each round. A few pairs
beforehand, which are not timed, warm every side up. Peak memory is the kernel's high-water mark
less what the process held after its imports.

Absolute figures are those of the machine it ran on; ratios are what counts.

Seen on two quiet cores of an AMD EPYC, with 512 pairs, one round: 2.3x every step and 3.4x every
update, short of the goal; memory 0.28x and 0.30x.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from labeler.config.parts.model import Model
from labeler.config.parts.sampling import Sampling
from labeler.config.parts.training import Training
from labeler.config.starter import STARTER_REWARD
from labeler.domain.labels import TrainingLabel
from tests.benchmarks.processes import high_water_mb, measured_alone, ratios
from trainer.learning.update import train
from trainer.policy.load import load_policy
from trainer.policy.logps import pair_logps
from trainer.policy.policy import CANDIDATE, LIVE
from trainer.sampling.local import LocalSampler
from trainer.starter.grammar import score

STARTER = Path("data/starter/policy")
RANK, ALPHA = 16, 32.0
BETA, LEARNING_RATE = 0.5, 1e-3
MAX_NEW_TOKENS = 160
UPDATE_PAIRS = 64
WARM_PAIRS = 64
SEARCH_PAIRS = 128
TRL_BATCHES = (8, 16, 32, 64)
GOAL = 5.0


@dataclass(frozen=True)
class Measured:
    """What one process measured. Shares are of the timed seconds, by kind of work."""

    pairs_per_second: float
    peak_mb: float
    shares: dict[str, float]
    score: float  # mean over the responses of the last half of the pairs


class Stopwatch:
    """Adds up the seconds of each kind of work."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def timing(self, kind: str) -> Iterator[None]:
        """Count what happens in this context as this kind."""
        begin = time.perf_counter()
        yield
        self.seconds[kind] += time.perf_counter() - begin

    def shares(self, total: float) -> dict[str, float]:
        """Of the whole; what was not timed by itself is the rest."""
        found = {kind: seconds / total for kind, seconds in self.seconds.items()}
        return found | {"rest": 1 - sum(found.values())}


def asked(count: int) -> list[str]:
    """So many questions, topics mixed."""
    lines = Path("data/prompts.jsonl").read_text().splitlines()
    texts = [json.loads(line)["prompt"] for line in lines]
    return [texts[number % len(texts)] for number in range(count)]


class OurLoop:
    """Sampler and trainer on one policy, as the worker has them."""

    def __init__(self, batch: int) -> None:
        self.policy = load_policy(
            Model(
                policy=str(STARTER),
                device="cpu",
                dtype="float32",
                lora_rank=RANK,
                lora_alpha=ALPHA,
                seed=0,
            )
        )
        self.sampler = LocalSampler(self.policy)
        self.sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=MAX_NEW_TOKENS)
        self.training = Training(
            loss="sigmoid",
            beta=BETA,
            learning_rate=LEARNING_RATE,
            passes=1,
            batch_pairs=batch,
            max_grad_norm=1.0,
        )
        self.watch = Stopwatch()
        self.scores: list[float] = []

    def run(self, texts: Sequence[str], update_pairs: int) -> None:
        """Sample, label and learn, so many pairs at a time."""
        for first in range(0, len(texts), update_pairs):
            labels = self.labelled(texts[first : first + update_pairs], seed=first)
            self.learn(labels)

    def labelled(self, texts: Sequence[str], seed: int) -> list[TrainingLabel]:
        """A label for a pair of answers to each."""
        with self.watch.timing("sampling"):
            rows = [self.policy.prompt_tokens([{"role": "user", "content": t}]) for t in texts]
            said = self.sampler.draw(LIVE, rows, self.sampling, seed=seed)
        with self.watch.timing("labelling"):
            scores = [
                (score(text, a.text), score(text, b.text))
                for text, (a, b) in zip(texts, said, strict=True)
            ]
            self.scores += [some for both in scores for some in both]
        pairs = [(prompt, a.tokens, b.tokens) for prompt, (a, b) in zip(rows, said, strict=True)]
        with self.watch.timing("reference"), torch.no_grad(), self.policy.reference():
            reference = pair_logps(self.policy, pairs).tolist()
        return [
            TrainingLabel((str(number),), float(a >= b), 1.0, *pair, *logps)
            for number, (pair, logps, (a, b)) in enumerate(
                zip(pairs, reference, scores, strict=True)
            )
        ]

    def learn(self, labels: Sequence[TrainingLabel]) -> None:
        """One update, which becomes the live policy."""
        with self.watch.timing("updating"):
            for _ in train(self.policy, labels, self.training, seed=0):
                pass
            self.policy.copy_adapter(CANDIDATE, LIVE)


def run_ours(texts: Sequence[str], batch: int, update_pairs: int) -> Measured:
    """Our loop over the questions, after a warm-up."""
    imported = high_water_mb()
    loop = OurLoop(batch)
    loop.run(asked(WARM_PAIRS), update_pairs)
    loop.watch, loop.scores = Stopwatch(), []
    begin = time.perf_counter()
    loop.run(texts, update_pairs)
    seconds = time.perf_counter() - begin
    return measured(loop.watch, loop.scores, len(texts), seconds, imported)


def run_trl(texts: Sequence[str], batch: int, *, judged: bool = False) -> Measured:
    """TRL's trainer over the questions, after a warm-up.

    The grammar's score labels, or if `judged` the starter's reward model.
    """
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    imported = high_water_mb()
    watch, scores = Stopwatch(), []

    class Timed(OnlineDPOTrainer):  # type: ignore[misc]
        """Counts the time that it takes to sample."""

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            with watch.timing("sampling"):
                return super()._generate(*args, **kwargs)

    def reward(prompts: Any, completions: Any, **_: Any) -> list[float]:
        with watch.timing("labelling"):
            both = zip(prompts, completions, strict=True)
            found = [score(asks[-1]["content"], says[0]["content"]) for asks, says in both]
            scores.extend(found)
            return found

    def dataset(some: Sequence[str]) -> Dataset:
        return Dataset.from_list([{"prompt": [{"role": "user", "content": t}]} for t in some])

    with tempfile.TemporaryDirectory() as out:
        trainer = Timed(
            model=AutoModelForCausalLM.from_pretrained(STARTER),
            args=OnlineDPOConfig(
                output_dir=out,
                per_device_train_batch_size=batch,
                gradient_accumulation_steps=1,
                num_train_epochs=1,
                learning_rate=LEARNING_RATE,
                lr_scheduler_type="constant",
                beta=[BETA],
                max_new_tokens=MAX_NEW_TOKENS,
                temperature=1.0,
                gradient_checkpointing=False,
                use_cpu=True,
                bf16=False,
                report_to=[],
                disable_tqdm=True,
                save_strategy="no",
                logging_strategy="no",
            ),
            reward_funcs=str(STARTER_REWARD) if judged else reward,
            train_dataset=dataset(asked(WARM_PAIRS)),
            processing_class=AutoTokenizer.from_pretrained(STARTER),
            peft_config=LoraConfig(
                r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
        )
        trainer.train()
        watch.seconds.clear()
        scores.clear()
        trainer.train_dataset = dataset(texts)
        begin = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - begin
    return measured(watch, scores, len(texts), seconds, imported)


def measured(
    watch: Stopwatch, scores: Sequence[float], pairs: int, seconds: float, imported_mb: float
) -> Measured:
    """What the process has to say in the end."""
    late = statistics.fmean(scores[len(scores) // 2 :]) if scores else 0.0
    return Measured(pairs / seconds, high_water_mb() - imported_mb, watch.shares(seconds), late)


class Rounds:
    """Runs the sides by turns, each in a process of its own."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def alone(self, side: str, batch: int, *, pairs: int, update_pairs: int = 0) -> Measured:
        """One run of one side."""
        values = {
            "--child": side,
            "--batch": batch,
            "--pairs": pairs,
            "--update-pairs": update_pairs,
            "--threads": self._threads,
        }
        arguments = [str(word) for option in values.items() for word in option]
        return Measured(**measured_alone("tests.benchmarks.trl_loop", arguments))

    def best_batch(self) -> tuple[int, dict[int, float]]:
        """TRL's fastest batch size on a few pairs, and the pairs a second of all."""
        found = {
            batch: self.alone("trl", batch, pairs=SEARCH_PAIRS).pairs_per_second
            for batch in tqdm(TRL_BATCHES, desc="TRL's best batch", unit="run")
        }
        return max(found, key=lambda batch: found[batch]), found

    def all(self, batch: int, pairs: int, rounds: int) -> dict[str, list[Measured]]:
        """Every side at this optimiser batch, round by round."""
        found: dict[str, list[Measured]] = {"TRL": [], "every step": [], "every update": []}
        for _ in tqdm(range(rounds), desc="loop", unit="round"):
            found["TRL"].append(self.alone("trl", batch, pairs=pairs))
            for way, size in (("every step", batch), ("every update", UPDATE_PAIRS)):
                found[way].append(self.alone("ours", batch, pairs=pairs, update_pairs=size))
        return found


def compare(pairs: int, rounds: int, threads: int) -> dict[str, Any]:
    """Search TRL's batch, let all take turns, and put them beside each other."""
    turns = Rounds(threads)
    batch, searched = turns.best_batch()
    sides = turns.all(batch, pairs, rounds)
    theirs = sides["TRL"]
    ways = [way for way in sides if way != "TRL"]
    return {
        "pairs": pairs,
        "rounds": rounds,
        "batch": batch,
        "trl_by_batch": searched,
        "runs": {side: [asdict(run) for run in runs] for side, runs in sides.items()},
        "speed_ratio": {
            way: ratios(
                [run.pairs_per_second for run in sides[way]],
                [run.pairs_per_second for run in theirs],
            )
            for way in ways
        },
        "memory_ratio": {
            way: ratios([run.peak_mb for run in sides[way]], [run.peak_mb for run in theirs])
            for way in ways
        },
    }


def report(found: dict[str, Any]) -> str:
    """The figures as a table, for people."""
    searched = ", ".join(f"{batch}: {rate:.1f}" for batch, rate in found["trl_by_batch"].items())
    lines = [
        f"{found['pairs']} pairs, {found['rounds']} rounds, optimiser batch {found['batch']}",
        f"  TRL's pairs/s by batch: {searched}",
    ]
    for side, runs in found["runs"].items():
        for run in runs:
            shares = ", ".join(f"{kind} {share:.0%}" for kind, share in run["shares"].items())
            lines.append(
                f"  {side:<13} {run['pairs_per_second']:7.1f} pairs/s {run['peak_mb']:6.0f} MB  "
                f"{shares}; score {run['score']:.2f}"
            )
    for way, (low, median, high) in found["speed_ratio"].items():
        lines.append(f"{way}: {median:.2f}x [{low:.2f}, {high:.2f}], goal at least {GOAL}x")
    for way, (low, median, high) in found["memory_ratio"].items():
        lines.append(f"{way}: memory {median:.2f}x [{low:.2f}, {high:.2f}]")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, and run or be one of the children."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--child", choices=["ours", "trl", "trl judged"], help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--update-pairs", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        texts = asked(options.pairs)
        ours = options.child == "ours"
        run = (
            run_ours(texts, options.batch, options.update_pairs)
            if ours
            else run_trl(texts, options.batch, judged=options.child == "trl judged")
        )
        print(json.dumps(asdict(run)))
        return
    found = compare(options.pairs, options.rounds, options.threads)
    print(json.dumps(found) if options.json else report(found))


if __name__ == "__main__":
    main()
