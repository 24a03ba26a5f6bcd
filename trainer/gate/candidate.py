"""A trained candidate on its way: examined by the gate, and written to disk.

Both ways to train, the loop's updates and `livedpo train`, end here. Leaves out the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from labeler.config.parts.training import Training
from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError
from labeler.domain.estimate import Estimate
from labeler.domain.finding import Example, Finding
from labeler.domain.judging import Judge, Question
from labeler.domain.labels import TrainingLabel
from labeler.domain.response_stats import Said, style
from trainer.gate.examine import MarginCache, Sample, examine, logps, style_of
from trainer.gate.examples import examples_of, shortest_prompts
from trainer.gate.gate import broken, finite, objections, unchanged
from trainer.learning.update import Step
from trainer.policy.adapters import write_adapter
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.worker.supply import Sampled, Supply

# On fewer responses of the live version than this, its style is measured on new ones.
MIN_RESPONSES = 16
NO_JUDGE = Estimate.none("no judge is set, so nobody has compared them")
SILENT_JUDGE = "the judge gave no answer"


@dataclass(frozen=True)
class Examined:
    """What the gate found (no objection: it may go live), and the samples."""

    finding: Finding
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
    ) -> Examined:
        """Sample from the candidate, measure it, and say what speaks against it.

        `version` is the number it may get, `parent` that of the live version. `held_out` and
        `remembered` are labels that this update was not trained on; `live_responses` is what the
        live version said of late. A broken candidate is not even sampled from.
        """
        learned = Finding(loss_first=finite(steps[0].loss), loss_last=finite(steps[-1].loss))
        nothing = Sampled([], [], 0)
        candidate, live = (self._policy.adapter_state(name) for name in (CANDIDATE, LIVE))
        found = broken(candidate, [step.loss for step in steps])
        if found:
            return Examined(replace(learned, broken=True, objections=tuple(found)), nothing)
        if unchanged(candidate, live):
            return Examined(replace(learned, objections=("training changed nothing",)), nothing)
        try:
            sampled = self._supply.sample(self._settings.gate_prompts, CANDIDATE, version)
        except FloatingPointError:
            why = ("it gives no probabilities",)
            return Examined(replace(learned, broken=True, objections=why), nothing)
        if not sampled.samples:
            raise LivedpoError("There is no prompt to examine the candidate on.")
        answers = self._live_answers(sampled, live_responses)
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
            win_rate=self._win_rate(sampled, answers),
        )
        finding = replace(
            evidence.as_finding(),
            loss_first=learned.loss_first,
            loss_last=learned.loss_last,
            objections=tuple(objections(evidence, self._settings)),
            examples=self._examples(sampled, answers),
        )
        return Examined(finding, replace(sampled, reference=reference.tolist()))

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

    def _examples(self, sampled: Sampled, live: Sequence[Sample]) -> tuple[Example, ...]:
        """What people are shown of the change."""
        if not live:
            sampled = shortest_prompts(sampled)
            prompts = [sample.prompt_tokens for sample in sampled.samples]
            live = self._supply.answer(prompts, LIVE, sampled.seed)
        return examples_of(sampled, live)

    def _win_rate(self, sampled: Sampled, live: Sequence[Sample]) -> Estimate:
        """Half-wins count half."""
        if self._judge is None:
            return NO_JUDGE
        questions = [
            Question(prompt.messages, mine.text, other.text)
            for prompt, new, old in zip(sampled.prompts, sampled.samples, live, strict=True)
            for mine, other in zip(new.responses, old.responses, strict=True)
        ]
        judged = [judgement.probability for judgement in self._judge.judge(questions)]
        said = [probability for probability in judged if probability is not None]
        wins = sum(1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0 for p in said)
        return Estimate.share(wins, len(said), SILENT_JUDGE)
