"""What an update came to: everything that is known of it and of the version that it made.

    update  ->  Finding  ->  to_json, the row  ->  from_json  ->  pages, status, plots

A row holds what is known and nothing else, so that one of an earlier livedpo, which measured less,
is read like any other.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from labeler.domain.estimate import Estimate
from labeler.domain.messages import Messages

NOT_COMPARED = Estimate.none("nobody has compared it with the version before")
NONE_ASIDE = Estimate.none("no votes were kept aside")
NOT_FILLED = Estimate.none("no pairs were filled in")
SIDES = ("live", "candidate")
SEPARATOR = "; "


@dataclass(frozen=True)
class Responses:
    """How a version answered, as `Style` defines it; None is what nobody measured."""

    tokens: float | None = None
    unfinished: float | None = None
    repetition: float | None = None
    distinct: float | None = None
    entropy: float | None = None


@dataclass(frozen=True)
class Example:
    """One prompt, answered by the version before (`before`) and by the new one (`after`)."""

    prompt: Messages
    before: str
    after: str


@dataclass(frozen=True)
class Action:
    """What a person did to a version; `by` is None where it was done on the command line."""

    what: str
    by: str | None
    at: float


@dataclass(frozen=True)
class Finding:
    """What is known of an update; None is what nobody measured.

    `labels` are those that it trained on for the first time, `judged` of them are a judge's;
    `replayed` ones were used before, `held_out` ones were kept for the gate. `left_out` pairs of
    the `file` that `livedpo train` read did not fit. `broken` is a version that cannot answer. KL
    is in nats a token. `live` and `candidate` are the version before and the new one; `agreement_…`
    is theirs with votes kept aside, `win_rate` the new one's over the one before, says a judge, and
    `equal_length` what is left of it at equal length.
    `filled` pairs that nobody rated were labelled by a reward model that was right on `fill_right`
    of the votes it had not seen; they weighed `fill_weight` each, where a vote weighs 1, and
    `not_filled` is why there are none. `fill_gain` is how often the new version's responses beat
    those of the one before, say the members that labelled; `fill_witness` is what one says that did
    not.
    `objections` are the gate's, a phrase each, and `actions` what people did to the version since.
    `too_far`: all of them came of how far it went. `half_for` are those to the whole way of one
    that was taken half way back.
    """

    labels: int | None = None
    judged: int = 0
    replayed: int = 0
    held_out: int | None = None
    left_out: int = 0
    file: str | None = None
    learning_rate: float | None = None
    seconds: float | None = None
    loss_first: float | None = None
    loss_last: float | None = None
    broken: bool = False
    kl_live: float | None = None
    kl_reference: float | None = None
    live: Responses = Responses()
    candidate: Responses = Responses()
    agreement_live: Estimate = NONE_ASIDE
    agreement_candidate: Estimate = NONE_ASIDE
    win_rate: Estimate = NOT_COMPARED
    equal_length: Estimate = NOT_COMPARED
    filled: int = 0
    fill_weight: float | None = None
    fill_right: Estimate = NOT_FILLED
    fill_gain: float | None = None
    fill_witness: float | None = None
    not_filled: str | None = None
    too_far: bool = False
    half_for: str | None = None
    objections: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    actions: tuple[Action, ...] = ()

    @property
    def objection(self) -> str:
        """The objections in one line; empty if there is none."""
        return SEPARATOR.join(self.objections)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """What a row holds."""
        live, candidate = (_responses(row, side) for side in SIDES)
        objections = row.get("objections")
        return cls(
            **{name: row[name] for name in PLAIN if row.get(name) is not None},
            live=live,
            candidate=candidate,
            agreement_live=_agreement(row, "live"),
            agreement_candidate=_agreement(row, "candidate"),
            win_rate=_win_rate(row),
            equal_length=_estimate(row, "win_rate_at_equal_length", NOT_COMPARED),
            fill_right=_estimate(row, "fill_right", NOT_FILLED),
            objections=tuple(objections.split(SEPARATOR)) if objections else (),
            examples=tuple(Example(**example) for example in row.get("examples", ())),
            actions=tuple(Action(**action) for action in row.get("actions", ())),
        )

    def figures(self) -> Self:
        """The figures alone: without the examples, which are long, and without what people did to
        the version, which has their names.
        """
        return replace(self, examples=(), actions=())

    def _in_full(self) -> tuple[tuple[str, Estimate], ...]:
        """What a row holds with its interval and count, by its name there."""
        return (
            ("fill_right", self.fill_right),
            ("win_rate_at_equal_length", self.equal_length),
        )

    def to_json(self) -> dict[str, Any]:
        """The row."""
        row = {name: value for name, value in vars(self).items() if value != PLAIN.get(name, value)}
        for side, responses in zip(SIDES, (self.live, self.candidate), strict=True):
            known = {name: value for name, value in vars(responses).items() if value is not None}
            row |= {f"{name}_{side}": value for name, value in known.items()}
        if self.agreement_live.value is not None:
            row["agreement"] = {
                "live": self.agreement_live.value,
                "candidate": self.agreement_candidate.value,
                "labels": self.agreement_live.count,
            }
        if self.win_rate.value is not None:
            row["win_rate"] = win_rate_to_json(self.win_rate)
        elif self.win_rate != NOT_COMPARED:
            row["not_compared"] = self.win_rate.why
        for name, found in self._in_full():
            if found.value is not None:
                row[name] = {part: value for part, value in vars(found).items() if part != "why"}
        if self.objections:
            row["objections"] = self.objection
        if self.examples:
            row["examples"] = [asdict(example) for example in self.examples]
        if self.actions:
            row["actions"] = [asdict(action) for action in self.actions]
        return row


NOTHING = Finding()
# The fields that stand in a row by their own names, with what each is where nothing is known.
PLAIN = {
    name: value
    for name, value in vars(NOTHING).items()
    if not isinstance(value, Responses | Estimate | tuple)
}


def win_rate_to_json(won: Estimate) -> dict[str, Any] | None:
    """A win rate in the words of rows and summaries; None where nothing was compared."""
    if won.value is None:
        return None
    return {"rate": won.value, "low": won.low, "high": won.high, "pairs": won.count}


def plotted(finding: Finding) -> dict[str, float]:
    """The figures of a version that other programs plot, by their names there; the known ones."""
    found = {
        "labels": finding.labels,
        "filled_pairs": finding.filled,
        "loss_first": finding.loss_first,
        "loss_last": finding.loss_last,
        "kl_live": finding.kl_live,
        "kl_reference": finding.kl_reference,
        "win_rate": finding.win_rate.value,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _responses(row: Mapping[str, Any], side: str) -> Responses:
    return Responses(**{name: row.get(f"{name}_{side}") for name in vars(Responses())})


def _agreement(row: Mapping[str, Any], side: str) -> Estimate:
    """Rows have the rate alone, without its interval."""
    agreement = row.get("agreement")
    if not agreement or not agreement["labels"]:
        return NONE_ASIDE
    return Estimate.rate(agreement[side], agreement["labels"])


def _win_rate(row: Mapping[str, Any]) -> Estimate:
    won = row.get("win_rate")
    if not won:
        why = row.get("not_compared")
        return Estimate.none(why) if why else NOT_COMPARED
    return Estimate(won["rate"], won["low"], won["high"], won["pairs"])


def _estimate(row: Mapping[str, Any], name: str, unknown: Estimate) -> Estimate:
    found = row.get(name)
    return Estimate(**found) if found else unknown
