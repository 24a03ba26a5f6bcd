"""Numbers as people read them."""

from labeler.domain.estimate import Estimate


def counted(count: int, noun: str) -> str:
    """
    >>> counted(1, "vote"), counted(2, "vote")
    ('1 vote', '2 votes')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """
    >>> percent(0.614)
    '61 %'
    """
    return f"{100 * share:.0f} %"


def share(found: Estimate) -> str:
    """A share and its interval.

    >>> share(Estimate(0.614, 0.52, 0.7, 120))
    '61 % [52, 70]'
    """
    value, low, high = known(found)
    return f"{percent(value)} [{100 * low:.0f}, {100 * high:.0f}]"


def known(found: Estimate) -> list[float]:
    """The value of a figure, and the ends of its interval."""
    return [one for one in (found.value, found.low, found.high) if one is not None]


def span(seconds: float) -> str:
    """About how long.

    >>> span(45), span(600), span(9000)
    ('45 seconds', '10 minutes', '2.5 hours')
    """
    if seconds < 120:
        return _in(seconds, "second")
    if seconds < 7200:
        return _in(seconds / 60, "minute")
    return _in(seconds / 3600, "hour")


def clause(sentence: str) -> str:
    """The first line of what somebody else wrote, to stand within a sentence.

    >>> clause("The disk is full.\\nTraceback …")
    'The disk is full'
    """
    return sentence.strip().split("\n")[0].rstrip(".…")


def _in(amount: float, unit: str) -> str:
    rounded = f"{amount:.1f}".removesuffix(".0")
    return f"{rounded} {unit}{'' if rounded == '1' else 's'}"
