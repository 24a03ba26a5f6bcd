"""A trained candidate on its way: examined by the gate, and written to disk.

Both ways to train, the loop's updates and `livedpo train`, end here. Leaves out the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labeler.errors import LivedpoError
from labeler.labels import TrainingLabel
from labeler.settings import Settings
from trainer.checkpoint import write_adapter
from trainer.examine import Sample, examine, style_of, wilson
from trainer.gate import WinRate, broken, finite, objections, style, unchanged
from trainer.judge.reward import RewardModel
from trainer.policy import CANDIDATE, LIVE, Policy
from trainer.setup import gate_limits
from trainer.supply import Sampled, Supply
from trainer.update import Step, TrainingSettings

# On fewer responses of the live version than this, its style is measured on new ones.
FEWEST_RESPONSES = 16


@dataclass(frozen=True)
class Verdict:
    """What the gate found: its objections (none: it may go live), the figures, and the samples."""

    objections: list[str]
    metrics: dict[str, Any]
    sampled: Sampled


class Candidates:
    """Examines and writes what stands in the candidate adapter of a policy."""

    def __init__(
        self, policy: Policy, supply: Supply, settings: Settings, judge: RewardModel | None
    ) -> None:
        self._policy = policy
        self._supply = supply
        self._settings = settings
        self._judge = judge

    def examine(
        self,
        version: int,
        steps: Sequence[Step],
        *,
        held_out: Sequence[TrainingLabel],
        remembered: Sequence[TrainingLabel],
        training: TrainingSettings,
        live_responses: Sequence[tuple[Sequence[int], str]],
    ) -> Verdict:
        """Sample from the candidate, measure it, and say what speaks against it.

        `held_out` and `remembered` are labels that this update was not trained on;
        `live_responses` (tokens, finish reason) is what the live version said of late. A broken
        candidate is not even sampled from.
        """
        metrics = {"loss_first": finite(steps[0].loss), "loss_last": finite(steps[-1].loss)}
        candidate, live = (self._policy.adapter_state(name) for name in (CANDIDATE, LIVE))
        found = broken(candidate, [step.loss for step in steps])
        if found:
            return Verdict(found, metrics | {"broken": True}, Sampled([], [], 0))
        if unchanged(candidate, live):
            return Verdict(["training changed nothing"], metrics, Sampled([], [], 0))
        try:
            sampled = self._supply.sample(self._settings.gate_prompts, CANDIDATE, version)
        except FloatingPointError:
            found = ["it gives no probabilities"]
            return Verdict(found, metrics | {"broken": True}, Sampled([], [], 0))
        if not sampled.samples:
            raise LivedpoError("There is no prompt to examine the candidate on.")
        answers = self._live_answers(sampled, live_responses)
        evidence = examine(
            self._policy,
            sampled.samples,
            live=style_of(answers) if answers else style(live_responses),
            held_out=held_out,
            remembered=remembered,
            training=training,
            win_rate=self._win_rate(sampled, answers),
        )
        found = objections(evidence, gate_limits(self._settings))
        return Verdict(found, metrics | evidence.as_metrics(), sampled)

    def write(self, name: str) -> tuple[str, str]:
        """Write the candidate as folder `name` of the data dir; returns folder name and sha256."""
        sha256 = write_adapter(
            self._settings.adapters_dir / name,
            self._policy.adapter_state(CANDIDATE),
            self._policy.adapter_config(),
            base=self._policy.name,
        )
        return name, sha256

    def _live_answers(
        self, sampled: Sampled, live_responses: Sequence[tuple[Sequence[int], str]]
    ) -> list[Sample]:
        """The live version's answers to the same prompts, where they are needed."""
        if self._judge is None and len(live_responses) >= FEWEST_RESPONSES:
            return []
        prompts = [sample.prompt_tokens for sample in sampled.samples]
        return self._supply.answer(prompts, LIVE, sampled.seed)

    def _win_rate(self, sampled: Sampled, live: Sequence[Sample]) -> WinRate | None:
        if self._judge is None:
            return None
        questions = [
            (prompt.messages, mine.text, other.text)
            for prompt, new, old in zip(sampled.prompts, sampled.samples, live, strict=True)
            for mine, other in zip(new.responses, old.responses, strict=True)
        ]
        said = [p for p in self._judge.prefer(questions) if p is not None]
        wins = sum(1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0 for p in said)
        return wilson(wins, len(said)) if said else None
