"""All settings as one frozen object, and the rules that are made of them.

`labeler.config.load` reads them from flags, environment and files. A setting is one field of one of
the parts in `labeler.config.parts`; whoever takes a part can be handed the whole.
"""

from typing import Any, Self

from pydantic import Field, model_validator
from pydantic.fields import FieldInfo

from labeler.config.parts.budgets import Budgets
from labeler.config.parts.gate import Gate
from labeler.config.parts.judging import Judging
from labeler.config.parts.labels import Labels
from labeler.config.parts.loop import Loop
from labeler.config.parts.model import Model
from labeler.config.parts.part import Mark, Part, Unattended
from labeler.config.parts.rating import Rating
from labeler.config.parts.sampling import Sampling
from labeler.config.parts.serving import Serving
from labeler.config.parts.training import Training
from labeler.domain.labels import VoteRules
from labeler.domain.losses import TIE_LOSSES
from labeler.domain.rules import DueRules, JudgeRules


class Settings(Model, Serving, Rating, Loop, Sampling, Labels, Judging, Budgets, Training, Gate):
    """Everything that can be set. The parts stand in the order of `--help`."""

    # No option: `livedpo judge` sets it, for itself and its worker.
    unattended: bool = Field(False, description="Nobody is there, and the judge labels all.")
    # No option either: `load_settings` says it.
    chosen: frozenset[str] = Field(
        frozenset(), description="What came from flags, environment and --config."
    )

    @model_validator(mode="after")
    def _ties_can_be_learned(self) -> Self:
        """Refuse ties where the loss has no place for them."""
        if self.ties == "learn" and self.loss not in TIE_LOSSES:
            raise ValueError(
                f"The loss '{self.loss}' has no place for ties; use --loss "
                f"{' or '.join(TIE_LOSSES)}, or --ties coin_flip."
            )
        return self

    @property
    def vote_rules(self) -> VoteRules:
        """What votes become; see `labeler.domain.labels`."""
        ties = self.ties
        if ties == "auto":
            ties = "learn" if self.loss in TIE_LOSSES else "drop"
        return VoteRules(
            ties=ties,
            strong_weight=self.strong_weight,
            judge_weight=self.judge_weight,
            ties_count=self.fill > 0,
        )

    @property
    def due_rules(self) -> DueRules:
        """When an update is due, and with which labels."""
        return DueRules(
            labels_per_update=self.labels_per_update,
            max_staleness=self.max_staleness,
            cooldown_seconds=self.cooldown_seconds,
            votes=self.vote_rules,
            mode=self.mode,
            held_out_share=self.held_out_share,
            replay_share=self.replay_share,
            replay_max_age_versions=self.replay_max_age,
            max_updates=self.max_updates,
        )

    @property
    def judge_rules(self) -> JudgeRules:
        """What the judge is asked, and when its word is a label."""
        assert self.judge is not None
        return JudgeRules(
            judge=self.judge,
            after_seconds=0.0 if self.unattended else self.judge_after,
            max_staleness=self.max_staleness,
            max_labels=self.max_labels,
            max_abstain=self.judge_max_abstain,
            min_agreement=self.judge_min_agreement,
            left_to_people=self._left_to_people,
        )

    @property
    def served_staleness(self) -> int:
        """How many versions old a pair may be that people are still handed.

        A round is of one version, and where a judge labels everything at once nobody would wait.
        """
        return self.max_staleness if self.mode == "streaming" and not self.unattended else 0

    @property
    def _left_to_people(self) -> int:
        """Half a queue, unless a round would wait for them or nobody is there."""
        waits = self.judge_after is not None and self.mode == "streaming" and not self.unattended
        return self.queue_pairs // 2 if waits else 0


PARTS: tuple[type[Part], ...] = Settings.__bases__
FIELDS: dict[str, FieldInfo] = {
    name: field for part in PARTS for name, field in part.model_fields.items()
}

UNATTENDED: dict[str, Any] = {
    name: mark.default
    for name, field in FIELDS.items()
    for mark in field.metadata
    if isinstance(mark, Unattended)
}


def marked(mark: Mark) -> frozenset[str]:
    """The names of the settings that carry this mark."""
    return frozenset(name for name, field in FIELDS.items() if mark in field.metadata)
