"""What is said of a judge: what it is, when it labels, how good it is, and why it is paused."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from labeler.domain.estimate import Estimate
from labeler.domain.judge_report import Bin, JudgeReport
from labeler.domain.sentences.figures import clause, counted, known, percent, share, span

LEARNED = "learned"  # the only judge that has something to say of itself
Kind = Literal["share", "kappa", "plain", "points"]
# Why it abstained; the keys are those of `judging.Cause`.
CAUSES: Mapping[str, str] = {
    "timeout": "timed out",
    "unreachable": "could not be reached",
    "rate_limited": "rate limited",
    "server_error": "server error",
    "refused": "refused by the server",
    "bad_answer": "unreadable answer",
    "unclear": "unclear answer",
    "inconsistent": "its two orders disagree",
    "not_finite": "score is not a number",
    "too_long": "too long to read",
    "template": "refused by its chat template",
    "error": "error",
    "unsure": "not sure enough",
    "untrained": "not trained yet",
    "budget": "budget spent",
}
# The figures of a report: the name of each, and what it is.
FIGURES: Mapping[str, tuple[str, Kind]] = {
    "agreement": ("Agrees with people", "share"),
    "agreement_with_ties": ("Agrees with people, ties counted", "share"),
    "kappa": ("Cohen's kappa", "kappa"),
    "brier": ("Brier score (0.25 is a guess)", "plain"),
    "calibration_error": ("Calibration error", "plain"),
    "longer_judge": ("Prefers the longer reply", "share"),
    "longer_people": ("People prefer the longer reply", "share"),
    "longer_difference": ("Difference, in points", "points"),
    "abstain_share": ("Gave no verdict", "share"),
    "consistent": ("Same answer in both orders", "share"),
    "first": ("Prefers what stands first", "share"),
}


@dataclass(frozen=True)
class Chosen:
    """The judge of the settings. `after_seconds`: how long pairs wait for people; None: forever."""

    spec: str
    after_seconds: float | None


@dataclass(frozen=True)
class Row:
    """A figure by its name. `kind` says what it is: a share, a kappa, points or anything else."""

    name: str
    figure: Estimate
    kind: Kind

    @property
    def text(self) -> str:
        """The figure, its interval, and of how many; or why there is none."""
        found = self.figure
        if found.value is None:
            return f"unknown: {found.why}"
        if self.kind == "share":
            return f"{share(found)} of {found.count:,}"
        shown = _points if self.kind == "points" else _plain
        value, low, high = map(shown, known(found))
        return f"{value} [{low}, {high}]"


def name(spec: str) -> str:
    """
    >>> name("rm:/models/Skywork-0.6B/"), name("learned")
    ('The reward model Skywork-0.6B', 'Learned from your votes')
    """
    kind, _, rest = spec.partition(":")
    if kind == LEARNED:
        return "Learned from your votes"
    if kind == "api":
        return f"api: {rest.partition('@http')[0]}"
    if kind == "py":
        return f"The function {rest}"
    return f"The reward model {rest.rstrip('/').split('/')[-1] if kind == 'rm' else spec}"


def lines(chosen: Chosen | None, report: JudgeReport | None, says: str = "") -> list[str]:
    """What it does and how good it is, a sentence each. `says`: what it said of itself.

    >>> lines(Chosen("starter", 60.0), None)
    ['It labels pairs that no one has taken for 60 seconds.', 'It has not judged anything yet.']
    """
    said = clause(report.says if report else says)
    learned = [f"{said[0].upper()}{said[1:]}."] if said else []
    if report is None:
        return [*learned, rule(chosen, paused=False), "It has not judged anything yet."]
    when = rule(chosen, paused=report.paused is not None)
    said_of_it = (given(report), agreement(report.figures.agreement), *by_place(report.first))
    return [*learned, when, *said_of_it]


def rule(chosen: Chosen | None, *, paused: bool) -> str:
    """When it labels."""
    if chosen is None:
        return "It is not in use now."
    if chosen.after_seconds is None:
        return "It gives no labels. It compares each new version with the live one."
    if paused:
        return "It is paused and gives no labels for now."
    if chosen.after_seconds == 0:
        return "It labels every pair that no one is rating."
    return f"It labels pairs that no one has taken for {span(chosen.after_seconds)}."


def given(report: JudgeReport) -> str:
    """How much it said."""
    labels = counted(report.labels, "label") if report.labels else "no labels yet"
    return f"It has given {labels}."


def agreement(found: Estimate) -> str:
    """
    >>> agreement(Estimate(0.8, 0.49, 0.94, 10))
    'It agrees with people on 80 % [49, 94] of the 10 pairs that both decided.'
    """
    if found.value is None:
        return f"Its agreement with people is unknown: {found.why}."
    pairs = counted(found.count, "pair")
    return f"It agrees with people on {share(found)} of the {pairs} that both decided."


def by_place(first: Estimate | None) -> list[str]:
    """That it goes by the place, where that is no chance; it reads each pair in one order.

    >>> by_place(Estimate(1.0, 0.91, 1.0, 40))
    ['It goes by the place: of 40 pairs it prefers what stands first in 100 % [91, 100].']
    >>> by_place(Estimate(0.55, 0.4, 0.69, 40))
    []
    """
    if first is None or first.low is None or first.high is None or first.low <= 0.5 <= first.high:
        return []
    pairs = counted(first.count, "pair")
    return [f"It goes by the place: of {pairs} it prefers what stands first in {share(first)}."]


def rows(report: JudgeReport) -> list[Row]:
    """The `FIGURES` that it has; of those that are unknown for one reason, the first."""
    figures = report.estimates()
    found: list[Row] = []
    for key, (name, kind) in FIGURES.items():
        figure = figures.get(key)
        if figure is None:
            continue
        if figure.value is not None or figure.why not in [row.figure.why for row in found]:
            found.append(Row(name, figure, kind))
    return found


def counts(report: JudgeReport) -> list[tuple[str, str]]:
    """Why it abstained, the most frequent cause first, and what it cost."""
    abstained = sorted(report.abstained.items(), key=lambda each: -each[1])
    return [
        *((f"\u2013 {CAUSES.get(cause, cause)}", f"{count:,}") for cause, count in abstained),
        *([("Requests", f"{report.requests:,}")] if report.requests else []),
        *([("Tokens", f"{report.tokens:,}")] if report.tokens else []),
    ]


def calibration(bins: Sequence[Bin]) -> str:
    """The points of the calibration plot.

    >>> calibration([Bin(0.9, 0.8, 10)])
    'How sure the judge was, and how often it was right: 90 % sure, 80 % right (10 pairs).'
    """
    points = "; ".join(
        f"{percent(each.confidence)} sure, {percent(each.right)} right "
        f"({counted(each.count, 'pair')})"
        for each in bins
    )
    return f"How sure the judge was, and how often it was right: {points}."


def head(report: JudgeReport) -> str:
    """Who it is, and how much it said."""
    labels, verdicts = counted(report.labels, "label"), counted(report.verdicts, "verdict")
    return f"{report.judge}: {labels} from {verdicts}"


def in_a_terminal(report: JudgeReport | None) -> Iterator[str]:
    """All of it, a line each."""
    if report is None:
        yield "none has judged anything yet"
        return
    yield head(report)
    if report.says:
        yield report.says
    if report.paused:
        yield report.paused
    yield agreement(report.figures.agreement)
    yield from by_place(report.first)
    for row in rows(report)[1:]:
        yield f"{row.name}: {row.text}"
    for what, count in counts(report):
        yield f"{what}: {count}"


def paused(reason: str) -> str:
    """The alarm of a judge that gives no labels."""
    return f"The judge gives no labels for now. {reason}"


def agrees_too_little(found: Estimate, floor: float) -> str:
    """Why it is paused: it agrees with people less than it must."""
    said = agreement(found).removeprefix("It").removesuffix(".")
    return f"The judge{said}, less than {percent(floor)}."


def abstains_too_often(causes: Mapping[str, int], answers: int) -> str:
    """Why it is paused: it gave no verdict on too many of its last `answers` pairs.

    >>> abstains_too_often({"timeout": 9, "unclear": 3}, 16)
    'The judge gave no verdict on 12 of its last 16 pairs (timed out: 9, unclear answer: 3).'
    """
    failed = sum(causes.values())
    return f"The judge gave no verdict on {failed} of its last {answers} pairs ({_why(causes)})."


def untrained(needed: int, decided: int) -> str:
    """What a judge that learns says of itself before it has learned anything."""
    return f"not in use yet: it needs {needed} decided labels and has {decided}"


def trained(right: Estimate, floor: float | None) -> str:
    """What it says once it has; `floor`: above which the whole interval must be, if it is not."""
    found = f"right on {share(right)} of {counted(right.count, 'label')} that it had not seen"
    if floor is None:
        return found
    return f"not in use yet: {found}; the whole interval must be above {percent(floor)}"


def imported(pairs: int, share: float) -> str:
    """What pairs of files did for it; to be added to what it says.

    >>> imported(120, 0.0)
    '; 120 imported pairs did not help'
    """
    if not pairs:
        return ""
    did = f"count as {share:g} votes each" if share else "did not help"
    return f"; {counted(pairs, 'imported pair')} {did}"


def abstained(causes: Mapping[str, int]) -> str:
    """How often it gave no verdict, and why."""
    return f"The judge gave no verdict on {counted(sum(causes.values()), 'pair')} ({_why(causes)})"


def _why(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{CAUSES.get(cause, cause)}: {count:,}" for cause, count in causes.items())


def _plain(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "\u2212")


def _points(value: float) -> str:
    points = round(100 * value)
    return f"+{points}" if points > 0 else str(points).replace("-", "\u2212")
