"""What the page and the plots of a run's summary both say of it."""

import math
from collections.abc import Sequence

from labeler.domain.sentences.figures import span
from labeler.store.views.run_facts import RunFacts, VersionFacts


def log_odds(versions: Sequence[VersionFacts]) -> list[float]:
    """How far the judge prefers each version to the first, from wins over the version before.

    The natural log-odds of the win rates, summed over the promoted versions up to this one; half a
    win and half a loss are added to each, so that none is infinite. A version without a win rate
    counts as even. The errors of the links add up, and a judge's taste need not.

    >>> from labeler.domain.estimate import Estimate
    >>> from labeler.domain.finding import Finding
    >>> even = Finding(win_rate=Estimate(0.5, 0.3, 0.7, 20))
    >>> log_odds([VersionFacts(1, "promoted", even)])
    [0.0]
    """
    found = []
    live = 0.0
    for version in versions:
        here = live
        won = version.finding.win_rate
        if won.value is not None:
            wins = won.value * won.count
            here += math.log((wins + 0.5) / (won.count - wins + 0.5))
        found.append(here)
        live = here if version.state == "promoted" else live
    return found


def headline(facts: RunFacts) -> str:
    """The run in half a sentence."""
    made = [version.state for version in facts.versions if version.state != "first"]
    accepted = made.count("promoted")
    return (
        f"{facts.labels} labels, {accepted} version{'' if accepted == 1 else 's'} accepted, "
        f"{made.count('rejected')} rejected; it ran for {span(facts.seconds)}"
    )
