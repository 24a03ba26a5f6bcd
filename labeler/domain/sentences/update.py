"""What is said of an update: what it came to, whose labels made it, what changed."""

from collections.abc import Callable
from dataclasses import dataclass

from labeler.domain.finding import Finding
from labeler.domain.sentences.figures import clause, counted, percent, share, span
from labeler.domain.sentences.fill import filled
from labeler.domain.states import UpdateState

BARELY_NATS = 0.02
MUCH_NATS = 0.2
MIN_LENGTH_CHANGE = 0.05


@dataclass(frozen=True)
class Result:
    """An update that ended, as one rater is told of it.

    `version` started from version `parent`; both are None if none was made. `mine` of its labels
    are this rater's. `live` is the version that is live now.
    """

    state: UpdateState
    finding: Finding
    version: int | None = None
    parent: int | None = None
    reason: str | None = None
    mine: int | None = None
    live: int | None = None

    @property
    def good(self) -> bool:
        """Whether its version went live."""
        return self.state is UpdateState.PROMOTED

    @property
    def is_compared(self) -> bool:
        """Whether a judge has compared its version with the one before."""
        return self.finding.win_rate.value is not None


@dataclass(frozen=True)
class Left:
    """How a version stopped being live: version `then` took its place, an older one or a newer."""

    then: int
    taken_back: bool


def title(update: Result) -> str:
    """What it came to, in one sentence.

    >>> from labeler.domain.estimate import Estimate
    >>> won = Finding(labels=16, win_rate=Estimate(0.61, 0.52, 0.7, 120))
    >>> title(Result(UpdateState.PROMOTED, won, 7, 6))
    'Your 16 labels made version 7; it wins 61 % [52, 70] against version 6.'
    >>> title(Result(UpdateState.REJECTED, Finding(), 7, 6, "it repeats itself"))
    'The new version was held back: it repeats itself.'
    """
    if update.good:
        made = f"{whose_labels(update.finding, update.mine)} made version {update.version}"
        won = update.finding.win_rate
        if won.value is None:
            return f"{made}."
        return f"{made}; it wins {share(won)} against {_before(update.parent)}."
    what = "The new version was held back" if _was_held_back(update) else "The last update failed"
    return f"{what}: {clause(update.reason)}." if update.reason else f"{what}."


def lines(update: Result) -> list[str]:
    """What there is to say below the title, a sentence each."""
    moved = _moved(update)
    kept = [] if update.good or moved else [_kept(update.finding)]
    found = [agreement(update.finding, update.parent)]
    if not update.good:
        found.append(wins(update.finding, update.parent))
    measured = map(_sentence, filter(None, found))
    aside = _kept_aside(update.finding) if update.good else []
    way = half_way(update.finding)
    return [*kept, *moved, *way, *aside, *filled(update.finding), *measured, *style(update.finding)]


def _kept_aside(finding: Finding) -> list[str]:
    """Why it learned from fewer labels than an update takes: a sentence, if some test it."""
    if not finding.held_out:
        return []
    labels = counted(finding.held_out, "more label")
    return [
        f"{labels} tested it, and {'teach' if finding.held_out > 1 else 'teaches'} the next one."
    ]


def whose_labels(finding: Finding, mine: int | None) -> str:
    """Whose labels made a version; a verb follows.

    >>> whose_labels(Finding(labels=16, judged=9), 4)
    "16 labels, 4 of them yours and 9 the judge's,"
    >>> whose_labels(Finding(labels=16), 0)
    "16 of other people's labels"
    """
    labels, judged = finding.labels, finding.judged
    if not labels:
        return "Your labels"
    own = labels - judged if mine is None else mine
    if judged >= labels:
        return f"{labels:,} of the judge's labels" if labels > 1 else "One of the judge's labels"
    if own >= labels:
        return f"Your {counted(labels, 'label')}"
    parts = [f"{own:,} of them yours"] if own and mine is not None else []
    if judged:
        parts.append(f"{judged:,} {'' if parts else 'of them '}the judge's")
    if not parts:
        return f"{labels:,} of other people's labels"
    return f"{counted(labels, 'label')}, {' and '.join(parts)},"


def agreement(finding: Finding, parent: int | None) -> str | None:
    """How far it agrees with held-out votes, without "it".

    Beside those that no version has learned from there may be some of earlier updates. They flatter
    the version before, as long as nobody went back behind these updates.

    >>> from labeler.domain.estimate import Estimate
    >>> now, before = Estimate(0.75, 0.41, 0.93, 8), Estimate(0.5, 0.22, 0.78, 8)
    >>> agreement(Finding(agreement_candidate=now, agreement_live=before), 6)
    'agrees with 75 % [41, 93] of 8 held-out votes (version 6: 50 % [22, 78])'
    >>> agreement(Finding(agreement_candidate=now, agreement_live=before, held_out=3), 6)
    'agrees with 75 % [41, 93] of 8 held-out votes (version 6: 50 % [22, 78]; earlier \
updates had learned from most of them)'
    """
    now, before = finding.agreement_candidate, finding.agreement_live
    if now.value is None:
        return None
    said = f"agrees with {share(now)} of {counted(now.count, 'held-out vote')}"
    if before.value is None:
        return said
    earlier = 0 if finding.held_out is None else now.count - finding.held_out
    much = "most" if 2 * earlier > now.count else "some"
    learned = f"; earlier updates had learned from {much} of them" if earlier > 0 else ""
    return f"{said} ({_before(parent)}: {share(before)}{learned})"


def wins(finding: Finding, parent: int | None) -> str | None:
    """How it did against the version before, without "it"."""
    won = finding.win_rate
    if won.value is None:
        return None
    said = f"wins {share(won)} of {counted(won.count, 'comparison')} with {_before(parent)}"
    even = finding.equal_length
    return said if even.value is None else f"{said}, {share(even)} at equal length"


def style(finding: Finding) -> list[str]:
    """How its replies differ from those of the version before: a sentence, if anything is known.

    >>> style(Finding(kl_live=0.013))
    ['Its replies have barely changed.']
    """
    before, now, nats = finding.live.tokens, finding.candidate.tokens, finding.kl_live
    said = []
    if before and now is not None:
        change = now / before - 1
        much = f"{percent(abs(change))} {'longer' if change > 0 else 'shorter'}"
        said.append(f"are {'as long as before' if abs(change) < MIN_LENGTH_CHANGE else much}")
    if nats is not None:
        much = "changed a lot" if nats >= MUCH_NATS else "changed a little"
        said.append(f"have {'barely changed' if nats < BARELY_NATS else much}")
    return [f"Its replies {' and '.join(said)}."] if said else []


def details(finding: Finding) -> list[tuple[str, str]]:
    """Figures for those who want them: name and value."""
    live, new = finding.live, finding.candidate
    tokens, nats = "{:.0f}".format, "{:.3f}".format
    rows = [
        ("Labels held out", None if finding.held_out is None else str(finding.held_out)),
        ("Older labels replayed", str(finding.replayed) if finding.replayed else None),
        ("Pairs filled in", str(finding.filled) if finding.filled else None),
        ("Weight of such a pair, in votes", _plain(finding.fill_weight, nats)),
        ("Tokens per reply", _change(live.tokens, new.tokens, tokens)),
        ("Unfinished", _change(live.unfinished, new.unfinished, percent)),
        ("Repetition", _change(live.repetition, new.repetition, percent)),
        ("KL from the version before, nats per token", _plain(finding.kl_live, nats)),
        ("KL from the base model, nats per token", _plain(finding.kl_reference, nats)),
        ("Loss", _change(finding.loss_first, finding.loss_last, "{:.2f}".format)),
        ("Time taken", _plain(finding.seconds, span)),
    ]
    return [(name, value) for name, value in rows if value is not None]


def found(finding: Finding, parent: int | None) -> list[str]:
    """What the gate found, a sentence each."""
    said = filter(None, (wins(finding, parent), agreement(finding, parent)))
    return [*filled(finding), *half_way(finding), *map(_sentence, said), *style(finding)]


def half_way(finding: Finding) -> list[str]:
    """That it was taken back, and why: a sentence, if it was.

    >>> half_way(Finding(half_for="it repeats itself"))
    ['It was taken half way back. The gate said of the whole way: it repeats itself.']
    """
    if not finding.half_for:
        return []
    return [f"It was taken half way back. The gate said of the whole way: {finding.half_for}."]


def in_one_line(finding: Finding, parent: int | None, reason: str | None) -> str:
    """A version in a list: where it came from, and what was found.

    >>> in_one_line(Finding(labels=4), 0, "it repeats itself")
    '4 labels, from version 0; held back: it repeats itself'
    """
    pairs = f" and {counted(finding.filled, 'pair')} filled in" if finding.filled else ""
    parts = [f"{counted(finding.labels or 0, 'label')}{pairs}, from version {parent}"]
    parts += ["taken half way back"] if finding.half_for else []
    parts += filter(None, (wins(finding, parent), agreement(finding, parent)))
    objections = reason or finding.objection
    return "; ".join([*parts, f"held back: {objections}"] if objections else parts)


def progress(live: int | None, newest: tuple[UpdateState, Finding] | None) -> str:
    """The live version, and how the newest update fared, for a line of progress.

    >>> progress(4, (UpdateState.REJECTED, Finding()))
    'version 4, last update rejected'
    """
    said = f"version {live or 0}"
    if newest is None:
        return said
    state, finding = newest
    if finding.win_rate.value is not None:
        said += f", win rate {share(finding.win_rate)}"
    return said if state is UpdateState.PROMOTED else f"{said}, last update {state}"


def heading(update: Result, left: Left | None, *, was_live: bool) -> str:
    """An update in the list of changes."""
    if update.state is UpdateState.FAILED or update.version is None:
        return "No new version"
    if update.version == update.live:
        fate = "is live"
    elif left is not None and left.taken_back:
        fate = "was rolled back"
    else:
        fate = "went live" if was_live else "was held back"
    return f"Version {update.version} {fate}"


def fate(update: Result, *, was_live: bool) -> list[str]:
    """What it learned from and what became of it, a sentence each."""
    said = [_learned_from(update)]
    why = f": {clause(update.reason)}." if update.reason else "."
    if update.state is UpdateState.FAILED:
        said += [f"The update failed{why}", "All labels are kept."]
    elif _was_held_back(update):
        said.append(f"It was held back{why}")
        said.append("Someone made it live anyway." if was_live else "Its labels are kept.")
    agreed = agreement(update.finding, update.parent)
    return [*said, _sentence(agreed)] if agreed else said


def followed(left: Left) -> str:
    """What took the place of a version; the time follows."""
    verb = "is live again since" if left.taken_back else "took its place on"
    return f"Version {left.then} {verb}"


def compared(update: Result) -> str | None:
    """What the judge says of it, or why nothing; None where there is no version."""
    if (said := wins(update.finding, update.parent)) is not None:
        return f"It {said}, says the judge."
    if update.state is UpdateState.FAILED:
        return None
    return f"No win rate: {update.finding.win_rate.why}."


def names(update: Result) -> tuple[str, str]:
    """The two versions, over what they answered."""
    after = f"Version {update.version}"
    return f"Before: version {update.parent}", f"After: {after.lower()}" if update.good else after


def part_of(mine: int, updates: int) -> str:
    """How many of a rater's labels the last updates learned from."""
    if not updates:
        return "No update has run yet. The first one starts when there are enough labels."
    last = f"the last {updates} updates" if updates > 1 else "the last update"
    return f"{f'{mine:,}' if mine else 'None'} of your labels went into {last}."


def _learned_from(update: Result) -> str:
    labels, mine = update.finding.labels, update.mine or 0
    if not labels:
        return f"It was to learn from {mine:,} of your labels." if mine else "It had no labels yet."
    part = "all" if mine >= labels else f"{mine:,}" if mine else "none"
    return f"It was trained on {counted(labels, 'label')}, {part} of them yours."


def _was_held_back(update: Result) -> bool:
    return update.state is UpdateState.REJECTED


def _moved(update: Result) -> list[str]:
    """Somebody made another version live since."""
    if update.live is None or update.version is None:
        return []
    if (update.live == update.version) == update.good:
        return []
    return [f"Version {update.live} is live now." if update.good else "It was made live by hand."]


def _kept(finding: Finding) -> str:
    return "The labels are kept." if finding.judged else "Your labels are kept."


def _before(parent: int | None) -> str:
    return "the version before" if parent is None else f"version {parent}"


def _sentence(said: str) -> str:
    return f"It {said}."


def _plain(value: float | None, shown: Callable[[float], str]) -> str | None:
    return None if value is None else shown(value)


def _change(before: float | None, now: float | None, shown: Callable[[float], str]) -> str | None:
    return None if before is None or now is None else f"{shown(before)} → {shown(now)}"
