"""A trained candidate on its way: examined by the gate, and written to disk.

Both ways to train, the loop's updates and `livedpo train`, end here. Leaves out the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from labeler.config.parts.training import Training
from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError
from labeler.domain.judging import Judge, Question
from labeler.domain.labels import TrainingLabel
from labeler.domain.response_stats import Said, style
from trainer.gate.examine import MarginCache, Sample, examine, logps, share, style_of
from trainer.gate.examples import examples_of, shortest_prompts
from trainer.gate.gate import WinRate, broken, finite, objections, unchanged
from trainer.learning.update import Step
from trainer.policy.adapters import write_adapter
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.worker.supply import Sampled, Supply

# On fewer responses of the live version than this, its style is measured on new ones.
MIN_RESPONSES = 16
NO_JUDGE = "no judge is set, so nobody has compared them"
SILENT_JUDGE = "the judge gave no answer"


@dataclass(frozen=True)
class Finding:
    """What the gate found: its objections (none: it may go live), the figures, and the samples."""

    objections: list[str]
    metrics: dict[str, Any]
    sampled: Sampled


class Candidates:
    """Examines and writes what stands in the candidate adapter of a policy."""

    def __init__(
        self, policy: Policy, supply: Supply, settings: Settings, judge: Judge | None
    ) -> None:
        self._policy = policy
        self._supply = supply
        self._settings = settings
        self._judge = judge
        self._margin_cache = MarginCache(policy)

    def examine(
        self,
        version: int,
        steps: Sequence[Step],
        *,
        parent: int,
        held_out: Sequence[TrainingLabel],
        remembered: Sequence[TrainingLabel],
        training: Training,
        live_responses: Sequence[Said],
    ) -> Finding:
        """Sample from the candidate, measure it, and say what speaks against it.

        `version` is the number it may get, `parent` that of the live version. `held_out` and
        `remembered` are labels that this update was not trained on; `live_responses` is what the
        live version said of late. A broken candidate is not even sampled from.
        """
        metrics = {"loss_first": finite(steps[0].loss), "loss_last": finite(steps[-1].loss)}
        candidate, live = (self._policy.adapter_state(name) for name in (CANDIDATE, LIVE))
        found = broken(candidate, [step.loss for step in steps])
        if found:
            return Finding(found, metrics | {"broken": True}, Sampled([], [], 0))
        if unchanged(candidate, live):
            return Finding(["training changed nothing"], metrics, Sampled([], [], 0))
        try:
            sampled = self._supply.sample(self._settings.gate_prompts, CANDIDATE, version)
        except FloatingPointError:
            found = ["it gives no probabilities"]
            return Finding(found, metrics | {"broken": True}, Sampled([], [], 0))
        if not sampled.samples:
            raise LivedpoError("There is no prompt to examine the candidate on.")
        answers = self._live_answers(sampled, live_responses)
        win_rate = self._win_rate(sampled, answers)
        reference = logps(self._policy, sampled.samples, None)
        evidence = examine(
            self._policy,
            sampled.samples,
            margin_cache=self._margin_cache,
            versions=(parent, version),
            reference=reference,
            live=style_of(answers) if answers else style(live_responses),
            held_out=held_out,
            remembered=remembered,
            training=training,
            win_rate=win_rate,
        )
        found = objections(evidence, self._settings)
        metrics |= evidence.as_metrics() | self._to_show(sampled, answers, win_rate)
        return Finding(found, metrics, replace(sampled, reference=reference.tolist()))

    def write(self, name: str) -> tuple[str, str]:
        """Write the candidate as folder `name` of the data dir; returns folder name and sha256."""
        sha256 = write_adapter(
            self._settings.adapters_dir / name,
            self._policy.adapter_state(CANDIDATE),
            self._policy.adapter_config(),
            base=self._policy.name,
        )
        return name, sha256

    def _live_answers(self, sampled: Sampled, live_responses: Sequence[Said]) -> list[Sample]:
        """The live version's answers to the same prompts, where they are needed."""
        if self._judge is None and len(live_responses) >= MIN_RESPONSES:
            return []
        prompts = [sample.prompt_tokens for sample in sampled.samples]
        return self._supply.answer(prompts, LIVE, sampled.seed)

    def _to_show(
        self, sampled: Sampled, live: Sequence[Sample], win_rate: WinRate | None
    ) -> dict[str, Any]:
        """What people are shown of the change: examples, and why there is no win rate if so."""
        if not live:
            sampled = shortest_prompts(sampled)
            prompts = [sample.prompt_tokens for sample in sampled.samples]
            live = self._supply.answer(prompts, LIVE, sampled.seed)
        examples = examples_of(sampled, live)
        if win_rate is not None:
            return {"examples": examples}
        why = NO_JUDGE if self._judge is None else SILENT_JUDGE
        return {"examples": examples, "not_compared": why}

    def _win_rate(self, sampled: Sampled, live: Sequence[Sample]) -> WinRate | None:
        if self._judge is None:
            return None
        questions = [
            Question(prompt.messages, mine.text, other.text)
            for prompt, new, old in zip(sampled.prompts, sampled.samples, live, strict=True)
            for mine, other in zip(new.responses, old.responses, strict=True)
        ]
        judged = [judgement.probability for judgement in self._judge.judge(questions)]
        said = [probability for probability in judged if probability is not None]
        wins = sum(1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0 for p in said)
        return share(wins, len(said)) if said else None
