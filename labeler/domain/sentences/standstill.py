"""What is said of an update that does not come: why, in one line."""

from collections.abc import Iterator

from labeler.domain.sentences.figures import clause, counted, span
from labeler.domain.standstill import Standstill


def why_none(still: Standstill) -> str:
    """Why no update has come; "" while nothing but labels is missing.

    >>> why_none(Standstill(wanted=16, due=13, labels=16, ties=3))
    '3 of 16 labels were ties or both bad and taught nothing (--ties).'
    >>> why_none(Standstill(wanted=16, due=13, labels=13))
    ''
    """
    causes = [_waits(still)] if still.due >= still.wanted else list(_causes(still))
    line = "; ".join(cause for cause in causes if cause)
    return f"{line[0].upper()}{line[1:]}." if line else ""


def _waits(still: Standstill) -> str:
    """What keeps an update that has its labels."""
    if still.seconds_left <= 0:
        return ""
    wait = span(max(1, round(still.seconds_left)))
    if still.has_failed:
        return f"the last update failed, and is tried again in {wait}"
    return f"the next update waits another {wait} (--cooldown-seconds)"


def _causes(still: Standstill) -> Iterator[str]:
    """Where the labels went, if they would have been enough; and who does not help."""
    if still.labels >= still.wanted:
        of = f"of {counted(still.labels, 'label')}"
        if still.ties:
            were = "was a tie" if still.ties == 1 else "were ties"
            yield f"{still.ties} {of} {were} or both bad and taught nothing (--ties)"
        if still.alone:
            wait = "waits" if still.alone == 1 else "wait"
            yield f"{still.alone} {of} {wait} for the votes of others (--votes-per-pair)"
        if still.stale:
            came = f"{still.stale} {of} came too late, on replies of older versions"
            yield f"{came} (--max-staleness)"
        if still.aside:
            was = "was" if still.aside == 1 else "were"
            yield f"{still.aside} {of} {was} set aside by whoever looks after them"
    if still.kept_back == 1:
        yield f"the last update was kept back because {clause(still.reason)}"
    elif still.kept_back:
        last = f"the last {still.kept_back} updates were kept back"
        yield f"{last}, the newest because {clause(still.reason)}"
    if still.is_judge_paused:
        yield "the judge is paused, so only people's labels count"
