"""What both sides of a comparison of whole loops work on: model, prompts, labels and steps."""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labeler.config.policies import SMOLLM2, first_prompts
from labeler.config.starter import STARTER_POLICY, STARTER_PROMPTS
from trainer.policy.gguf import unpacked
from trainer.starter.grammar import score

Name = Literal["starter", "smollm2"]


def lot(question: str, reply: str) -> float:
    """A draw by lot, the same for the same words: nobody learns anything from it."""
    return zlib.crc32(f"{question}\n{reply}".encode()) / 2**32


def lot_prefers(messages: list[dict[str, str]], first: str, second: str) -> bool:
    """The same as a judge: `--judge py:tests.benchmarks.loop_tasks:lot_prefers`."""
    question = messages[-1]["content"]
    return lot(question, first) > lot(question, second)


@dataclass(frozen=True)
class Task:
    """`dtype` is ours, as in `--dtype`. No `learning_rate`: ours measures its steps.

    `step_pairs` fill an optimiser step; None: one batch of TRL's does.
    """

    policy: str
    prompts: Path
    score: Callable[[str, str], float]
    dtype: Literal["auto", "float32"]
    temperature: float
    top_p: float
    max_new_tokens: int
    beta: float
    learning_rate: float | None
    update_pairs: int
    step_pairs: int | None

    def folder(self) -> Path:
        """The model folder."""
        return Path(unpacked(self.policy, lambda _: None))

    def asked(self, count: int) -> list[str]:
        """So many questions, topics mixed; conversations are left out."""
        lines = self.prompts.read_text().splitlines()
        found: list[Any] = [json.loads(line)["prompt"] for line in lines]
        texts = [prompt for prompt in found if isinstance(prompt, str)]
        return [texts[number % len(texts)] for number in range(count)]


TASKS: dict[Name, Task] = {
    "starter": Task(
        policy=str(STARTER_POLICY),
        prompts=STARTER_PROMPTS,
        score=score,
        dtype="float32",
        temperature=1.0,
        top_p=1.0,
        max_new_tokens=160,
        beta=0.5,
        learning_rate=1e-3,
        update_pairs=64,
        step_pairs=None,
    ),
    # Labels by lot: by a taste, one side's replies might grow short sooner than the other's.
    "smollm2": Task(
        policy=SMOLLM2,
        prompts=first_prompts(SMOLLM2),
        score=lot,
        dtype="auto",
        temperature=0.6,
        top_p=0.9,
        max_new_tokens=128,
        beta=0.1,
        learning_rate=None,
        update_pairs=16,
        step_pairs=16,
    ),
}
PEER_LEARNING_RATE = 1e-5  # where ours measures its steps
