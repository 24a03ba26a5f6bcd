"""What a candidate must pass before people see it: a decision on measured evidence.

`objections` is pure: evidence and limits in, sentences out. `trainer.gate.examine` measures the
evidence. What the gate cannot see: whether the responses are better. People say that, or a judge
whose win rate it takes into account where one is set.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labeler.config.parts.gate import Gate
from labeler.domain.estimate import Estimate
from labeler.domain.finding import NONE_ASIDE, NOT_COMPARED, Finding, Responses
from labeler.domain.response_stats import Style
from labeler.stats.coin import as_many_by_chance, at_least

# An agreement, or a win rate, on fewer than this says nothing about a version.
MIN_LABELS = 8
# How unlikely by chance a fall must be before the gate calls it one (one-sided). The second is the
# smaller because it is asked for at every update, however small the fall.
CHANCE_OF_LOSS = 0.05
CHANCE_OF_MOVING_AGAINST = 0.02


@dataclass(frozen=True)
class Agreement:
    """How live and candidate rank labels that were kept aside from this update.

    `lost` labels only the live version ranks as people did, `won` ones only the candidate. Of the
    `held_out` ones, which no version has trained on, `against` are those whose margin in favour of
    what people said fell.
    """

    live: float
    candidate: float
    lost: int
    won: int
    labels: int
    against: int = 0
    held_out: int = 0


@dataclass(frozen=True)
class Evidence:
    """What was measured of a candidate. KL is in nats a token, over the candidate's responses.

    `counts` are how many responses of the live version and of the candidate there were. `win_rate`
    is the share of the candidate's that the judge prefers to the live version's, `equal_length` the
    same at equal length. `length_leaning` is what the votes of this update prove, from -1 for
    shorter to 1 for longer replies, and `repeats_by_chance` how likely the candidate repeats itself
    so much more by chance.
    """

    live: Style
    candidate: Style
    counts: tuple[int, int]
    kl_live: float
    kl_reference: float
    agreement: Agreement | None = None
    win_rate: Estimate = NOT_COMPARED
    equal_length: Estimate = NOT_COMPARED
    length_leaning: float = 0.0
    repeats_by_chance: float = 0.0

    def as_finding(self) -> Finding:
        """The figures as they are stored with the version and shown on the page."""
        agreed = self.agreement
        return Finding(
            kl_live=finite(self.kl_live),
            kl_reference=finite(self.kl_reference),
            live=_responses(self.live),
            candidate=_responses(self.candidate),
            agreement_live=Estimate.rate(agreed.live, agreed.labels) if agreed else NONE_ASIDE,
            agreement_candidate=(
                Estimate.rate(agreed.candidate, agreed.labels) if agreed else NONE_ASIDE
            ),
            win_rate=self.win_rate,
            equal_length=self.equal_length,
        )


def broken(candidate: Mapping[str, Tensor], losses: Sequence[float]) -> list[str]:
    """Why this adapter is no use to anyone, before anything is sampled from it."""
    found = []
    if not all(math.isfinite(loss) for loss in losses):
        found.append("the loss became infinite or NaN")
    if not all(bool(torch.isfinite(weight).all()) for weight in candidate.values()):
        found.append("a weight is infinite or NaN")
    return found


def unchanged(candidate: Mapping[str, Tensor], live: Mapping[str, Tensor]) -> bool:
    """Whether training changed nothing at all."""
    return all(torch.equal(weight, live[name]) for name, weight in candidate.items())


def objections(evidence: Evidence, limits: Gate) -> list[str]:
    """Why this candidate must not go live, a phrase each; empty if it may."""
    return [
        *_too_far(evidence, limits),
        *_length(evidence, limits),
        *_repeats(evidence, limits),
        *_runs_on(evidence, limits),
        *misleads(evidence, limits),
    ]


def misleads(evidence: Evidence, limits: Gate) -> list[str]:
    """What of this speaks against the direction; all else came of how far it went."""
    return [
        *_disagrees(evidence.agreement, limits),
        *_loses(evidence.win_rate, evidence.equal_length),
    ]


def _too_far(evidence: Evidence, limits: Gate) -> list[str]:
    """NaN is too far as well, so the comparisons are written the other way round."""
    found = []
    if not evidence.kl_live <= limits.gate_max_kl_live:
        found.append(
            f"it moved {evidence.kl_live:.2f} nats a token away from the live version, "
            f"more than {limits.gate_max_kl_live:g}"
        )
    if not evidence.kl_reference <= limits.gate_max_kl_reference:
        found.append(
            f"it is {evidence.kl_reference:.2f} nats a token away from the reference, "
            f"more than {limits.gate_max_kl_reference:g}"
        )
    return found


def _length(evidence: Evidence, limits: Gate) -> list[str]:
    """Where the votes prove that people like it so, up to the limit squared in that direction."""
    live, candidate = evidence.live.tokens, evidence.candidate.tokens
    change = math.log(max(candidate, 1.0) / max(live, 1.0))
    wanted = max(0.0, evidence.length_leaning * math.copysign(1.0, change))
    if abs(change) <= (1 + wanted) * math.log(limits.gate_max_length_change):
        return []
    despite = ", more than the votes ask for" if wanted else ""
    return [f"its responses have {candidate:.0f} tokens on average instead of {live:.0f}{despite}"]


def _repeats(evidence: Evidence, limits: Gate) -> list[str]:
    """The rise must be large, and more than chance: a few replies that go round make a mean."""
    live, candidate = evidence.live.repetition, evidence.candidate.repetition
    if candidate - live <= limits.gate_max_repetition_rise:
        return []
    if evidence.repeats_by_chance > CHANCE_OF_LOSS:
        return []
    return [
        f"{candidate:.0%} of its four-token sequences repeat earlier ones, instead of {live:.0%}"
    ]


def _runs_on(evidence: Evidence, limits: Gate) -> list[str]:
    """The rise must be large, and more than chance: where half of all are cut, 32 tell little."""
    shares = evidence.live.unfinished, evidence.candidate.unfinished
    if shares[1] - shares[0] <= limits.gate_max_unfinished_rise:
        return []
    live, candidate = (round(n * one) for n, one in zip(evidence.counts, shares, strict=True))
    if as_many_by_chance(candidate, evidence.counts[1], live, evidence.counts[0]) > CHANCE_OF_LOSS:
        return []
    return [f"{shares[1]:.0%} of its responses do not end, instead of {shares[0]:.0%}"]


def _disagrees(agreement: Agreement | None, limits: Gate) -> list[str]:
    """Two questions: has it forgotten what people said, and does it learn the opposite?

    Labels of earlier updates are ranked right for good, so they show forgetting: a fall must be
    large, and more than chance by the exact test of McNemar (1947). Labels that no version has
    trained on show the direction: margins that fall more often than chance has it (sign test).
    """
    if agreement is None:
        return []
    found = []
    drop = agreement.live - agreement.candidate
    by_chance = at_least(agreement.lost, agreement.lost + agreement.won)
    large = drop > limits.gate_max_agreement_drop and agreement.labels >= MIN_LABELS
    if large and by_chance <= CHANCE_OF_LOSS:
        found.append(
            f"it agrees with {agreement.candidate:.0%} of {agreement.labels} held-out votes, the "
            f"live version with {agreement.live:.0%}"
        )
    if at_least(agreement.against, agreement.held_out) <= CHANCE_OF_MOVING_AGAINST:
        found.append(
            f"it moved against {agreement.against} of {agreement.held_out} votes that it was not "
            "trained on"
        )
    return found


def _loses(win_rate: Estimate, equal_length: Estimate) -> list[str]:
    """A version that wins by its length alone loses at equal length."""
    for won, where in ((win_rate, ""), (equal_length, "at equal length ")):
        if won.high is not None and won.count >= MIN_LABELS and won.high < 0.5:
            return [
                f"{where}the judge prefers it in {won.value:.0%} of {won.count} pairs only "
                f"(at most {won.high:.0%} with 95 % confidence)"
            ]
    return []


def _responses(style: Style) -> Responses:
    return Responses(
        **{name: None if value is None else finite(value, 4) for name, value in vars(style).items()}
    )


def finite(value: float, digits: int = 6) -> float | None:
    """The value, or None where JSON has no word for it."""
    return round(value, digits) if math.isfinite(value) else None
