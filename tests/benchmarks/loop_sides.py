"""One side of a comparison of whole loops, in a process of its own: ours, or TRL's trainer.

    python -m tests.benchmarks.loop_sides trl --task smollm2 --batch 4 --pairs 16

Prints what it measured as JSON. Both sides answer the same questions twice, a score says which
answer is preferred (the first if they are equal), and the policy learns from it. Some pairs
beforehand, which are not timed, warm it up.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from labeler.config.parts.model import Model
from labeler.config.parts.sampling import Sampling
from labeler.config.parts.training import Training
from labeler.config.starter import STARTER_REWARD
from labeler.domain.labels import TrainingLabel
from tests.benchmarks.loop_tasks import PEER_LEARNING_RATE, TASKS, Task
from tests.benchmarks.processes import high_water_mb, measured_alone
from trainer.learning.update import train
from trainer.policy.load import load_policy
from trainer.policy.logps import pair_logps
from trainer.policy.policy import CANDIDATE, LIVE
from trainer.sampling.local import LocalSampler

RANK, ALPHA = 16, 32.0


@dataclass(frozen=True)
class Measured:
    """What one process measured. Shares are of the timed seconds, by kind of work."""

    pairs_per_second: float
    peak_mb: float
    shares: dict[str, float]
    score: float  # mean over the responses of the last half of the pairs
    prompt_tokens: float = 0.0  # ours alone says how long they are on average
    reply_tokens: float = 0.0


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


class OurLoop:
    """Sampler and trainer on one policy, as the worker has them."""

    def __init__(self, task: Task, batch: int) -> None:
        self.policy = load_policy(
            Model(
                policy=task.policy,
                device="cpu",
                dtype=task.dtype,
                lora_rank=RANK,
                lora_alpha=ALPHA,
                seed=0,
            )
        )
        self.policy.temperature = task.temperature
        self.sampler = LocalSampler(self.policy)
        self.sampling = Sampling(
            temperature=task.temperature, top_p=task.top_p, max_new_tokens=task.max_new_tokens
        )
        self.score = task.score
        self.training = Training(
            loss="sigmoid",
            beta=task.beta,
            learning_rate=task.learning_rate,
            passes=1,
            batch_pairs=batch,
            max_grad_norm=1.0,
        )
        self.watch = Stopwatch()
        self.scores: list[float] = []
        self.tokens: list[int] = []  # of each response

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
                (self.score(text, a.text), self.score(text, b.text))
                for text, (a, b) in zip(texts, said, strict=True)
            ]
            self.scores += [some for both in scores for some in both]
        self.tokens += [len(response.tokens) for both in said for response in both]
        pairs = [(prompt, a.tokens, b.tokens) for prompt, (a, b) in zip(rows, said, strict=True)]
        with self.watch.timing("reference"), torch.no_grad(), self.policy.reference():
            reference = pair_logps(self.policy, pairs).tolist()
        return [
            TrainingLabel(
                (str(number),),
                float(a >= b),
                1.0,
                *pair,
                *logps,
                temperature=self.policy.temperature,
            )
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


def run_ours(task: Task, options: argparse.Namespace) -> Measured:
    """Our loop over the questions, after a warm-up."""
    imported = high_water_mb()
    loop = OurLoop(task, options.batch)
    loop.run(task.asked(options.warm), options.update_pairs)
    loop.watch, loop.scores, loop.tokens = Stopwatch(), [], []
    texts = task.asked(options.pairs)
    begin = time.perf_counter()
    loop.run(texts, options.update_pairs)
    seconds = time.perf_counter() - begin
    found = measured(loop.watch, loop.scores, len(texts), seconds, imported)
    prompts = [loop.policy.prompt_tokens([{"role": "user", "content": text}]) for text in texts]
    return replace(
        found,
        prompt_tokens=statistics.fmean(map(len, prompts)),
        reply_tokens=statistics.fmean(loop.tokens),
    )


def run_trl(task: Task, options: argparse.Namespace) -> Measured:
    """TRL's trainer over the questions, after a warm-up, with the base in this dtype.

    The task's score labels, or if `judged` the starter's reward model.
    """
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    imported = high_water_mb()
    watch, scores, folder = Stopwatch(), [], task.folder()

    class Timed(OnlineDPOTrainer):  # type: ignore[misc]
        """Counts the time that it takes to sample."""

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            with watch.timing("sampling"):
                return super()._generate(*args, **kwargs)

    def reward(prompts: Any, completions: Any, **_: Any) -> list[float]:
        with watch.timing("labelling"):
            both = zip(prompts, completions, strict=True)
            found = [task.score(asks[-1]["content"], says[0]["content"]) for asks, says in both]
            scores.extend(found)
            return found

    def dataset(count: int) -> Dataset:
        asked = [[{"role": "user", "content": text}] for text in task.asked(count)]
        return Dataset.from_list([{"prompt": messages} for messages in asked])

    with tempfile.TemporaryDirectory() as out:
        trainer = Timed(
            model=AutoModelForCausalLM.from_pretrained(folder, dtype=options.dtype),
            args=OnlineDPOConfig(
                output_dir=out,
                per_device_train_batch_size=options.batch,
                gradient_accumulation_steps=(task.step_pairs or options.batch) // options.batch,
                num_train_epochs=1,
                learning_rate=task.learning_rate or PEER_LEARNING_RATE,
                lr_scheduler_type="constant",
                beta=[task.beta],
                max_new_tokens=task.max_new_tokens,
                temperature=task.temperature,
                top_p=task.top_p,
                gradient_checkpointing=False,
                use_cpu=True,
                bf16=False,
                report_to=[],
                disable_tqdm=True,
                save_strategy="no",
                logging_strategy="no",
            ),
            reward_funcs=str(STARTER_REWARD) if options.judged else reward,
            train_dataset=dataset(options.warm or options.pairs),
            processing_class=AutoTokenizer.from_pretrained(folder),
            peft_config=LoraConfig(
                r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
        )
        if options.warm:
            trainer.train()
            watch.seconds.clear()
            scores.clear()
            trainer.train_dataset = dataset(options.pairs)
        begin = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - begin
    return measured(watch, scores, options.pairs, seconds, imported)


def measured(
    watch: Stopwatch, scores: Sequence[float], pairs: int, seconds: float, imported_mb: float
) -> Measured:
    """What the process has to say in the end."""
    late = statistics.fmean(scores[len(scores) // 2 :]) if scores else 0.0
    return Measured(pairs / seconds, high_water_mb() - imported_mb, watch.shares(seconds), late)


def alone(side: str, **values: object) -> Measured:
    """One run of one side, in a process of its own: `values` are the options of its command."""
    words = [
        word
        for name, value in values.items()
        for word in ("--" + name.replace("_", "-"), *([] if value is True else [str(value)]))
    ]
    return Measured(**measured_alone("tests.benchmarks.loop_sides", [side, *words]))


def main() -> None:
    """Be one side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("side", choices=["ours", "trl"])
    parser.add_argument("--task", choices=list(TASKS), default="starter")
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument("--warm", type=int, default=64, help="pairs beforehand")
    parser.add_argument("--batch", type=int, required=True, help="pairs at once; ours: a step's")
    parser.add_argument("--update-pairs", type=int, default=64, help="ours: pairs of an update")
    parser.add_argument("--dtype", default="float32", help="TRL: of the base")
    parser.add_argument("--judged", action="store_true", help="TRL: by the starter's reward model")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = {"ours": run_ours, "trl": run_trl}[options.side]
    print(json.dumps(asdict(run(TASKS[options.task], options))))


if __name__ == "__main__":
    main()
