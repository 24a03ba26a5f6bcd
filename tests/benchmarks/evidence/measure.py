"""What is measured of a policy on the way: how it answers held-out prompts, and what it cost."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from labeler.domain.judging import Question
from labeler.domain.messages import Messages
from tests.benchmarks.evidence.plan import Run
from tests.benchmarks.evidence.world import World
from tests.benchmarks.processes import high_water_mb
from trainer.policy.logps import pair_logps
from trainer.policy.policy import LIVE
from trainer.sampling.samples import Response, batch_seed

Best = Callable[[Messages, Sequence[Response]], int]  # the place of the best of several responses


@dataclass(frozen=True)
class Look:
    """A policy after so many labels. `scores` and `lengths` (tokens) are of two answers a prompt.

    `kl` is the mean of log pi(y|x) - log pi_start(y|x) over its own answers, nats an answer.
    `seconds` and `cpu_seconds` are what it took to get there, `peak_mb` what memory it needed on
    top of the model, both without these looks.
    """

    labels: int
    scores: list[list[float]]
    lengths: list[list[int]]
    unfinished: float
    kl: float
    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass
class Meter:
    """Adds up what work costs. Peak memory is the kernel's, reset at the start of each piece, and
    counted from what was held when the first one began.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    first_mb: float | None = None

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count what happens in this context."""
        held = reset_peak()
        self.first_mb = held if self.first_mb is None else self.first_mb
        begin, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - begin
        self.cpu_seconds += time.process_time() - cpu
        self.peak_mb = max(self.peak_mb, peak_mb() - self.first_mb)

    def copy(self) -> "Meter":
        """One that goes on from here by itself."""
        return replace(self)


def reset_peak() -> float:
    """Forget the most memory that was held; returns what is held now, MB."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    with contextlib.suppress(OSError):  # a kernel that lets nobody do that
        Path("/proc/self/clear_refs").write_text("5")
    return high_water_mb()


def peak_mb() -> float:
    """The most memory that was held since then, of the accelerator if there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return high_water_mb()


def look(
    run: Run, labels: int, world: World, meter: Meter, prompts: int, *, best: Best | None = None
) -> Look:
    """Measure the live policy. The search looks at prompts that are trained on, never held out.

    Each of the two answers is one draw, or the `best` of several.
    """
    if run.stage == "search":
        asked = world.prompts(run.seed, "tuning").take(prompts)
    else:
        asked = world.held_out[:: max(1, len(world.held_out) // prompts)][:prompts]
    tokens = [world.policy.prompt_tokens(messages) for messages in asked]
    # Of its own: of one seed, policies that hardly differ would say the very same.
    seed = batch_seed(run.seed, labels, int(run.key, 16))
    each = run.fill_candidates if best else 1
    drawn = world.sampler.draw(LIVE, tokens, world.settings, seed=seed, copies=2 * each)
    halves = [(said[:each], said[each:]) for said in drawn]
    pairs = [
        (a[best(messages, a)], b[best(messages, b)]) if best else (a[0], b[0])
        for messages, (a, b) in zip(asked, halves, strict=True)
    ]
    rows = [(prompt, a.tokens, b.tokens) for prompt, (a, b) in zip(tokens, pairs, strict=True)]
    with torch.no_grad(), world.policy.reference():
        reference = pair_logps(world.policy, rows).tolist()
    gaps = [
        answer.logp - start
        for pair, starts in zip(pairs, reference, strict=True)
        for answer, start in zip(pair, starts, strict=True)
    ]
    said = [answer for pair in pairs for answer in pair]
    questions = [
        Question(messages, a.text, b.text) for messages, (a, b) in zip(asked, pairs, strict=True)
    ]
    return Look(
        labels=labels,
        scores=[list(both) for both in world.score(questions)],
        lengths=[[len(a.tokens), len(b.tokens)] for a, b in pairs],
        unfinished=sum(answer.finish == "length" for answer in said) / len(said),
        kl=sum(gaps) / len(gaps),
        seconds=meter.seconds,
        cpu_seconds=meter.cpu_seconds,
        peak_mb=meter.peak_mb,
    )
