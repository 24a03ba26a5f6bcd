"""Whether a policy has collapsed: its responses beside those of the first version. Pure.

    first, now = alike(responses of version 0, responses of the live version)
    sentences  = collapsed(first, now, limits)

The gate compares each version with the one before it, so it lets a slow slide pass; this guard sees
the slide, and an unattended run ends on it. It needs MIN_RESPONSES of either version. With the
default limits, two samples of one and the same version (the starter) gave no alarm in 4000 tries of
16 responses or more, 2 in 4000 of 8, 31 in 4000 of 4.
"""

from collections.abc import Sequence

from labeler.config.parts.budgets import Budgets
from labeler.domain.response_stats import Said, Style, style

MIN_RESPONSES = 32


def alike(first: Sequence[Said], now: Sequence[Said]) -> tuple[Style, Style] | None:
    """The styles of equally many responses of both; None if there are too few to tell."""
    count = min(len(first), len(now))
    return (style(first[:count]), style(now[:count])) if count >= MIN_RESPONSES else None


def collapsed(first: Style, now: Style, limits: Budgets) -> list[str]:
    """Signs of collapse, a phrase each; empty if there is none.

    Both styles are of equally many responses. NaN is a sign as well, so the comparisons are written
    the other way round. An entropy that is not known is no sign.
    """
    return [
        *_length(first, now, limits.stop_length_change),
        *_unfinished(first, now, limits.stop_unfinished_rise),
        *_entropy(first, now, limits.stop_entropy_share),
        *_distinct(first, now, limits.stop_distinct_share),
    ]


def _length(first: Style, now: Style, factor: float) -> list[str]:
    change = max(now.tokens, 1.0) / max(first.tokens, 1.0)
    if 1 / factor <= change <= factor:
        return []
    limit = f"less than 1/{factor:g} of that" if change < 1 else f"more than {factor:g} times"
    return [
        f"its responses have {now.tokens:.0f} tokens on average, the first version's had "
        f"{first.tokens:.0f} ({limit})"
    ]


def _unfinished(first: Style, now: Style, rise: float) -> list[str]:
    if now.unfinished - first.unfinished <= rise:
        return []
    return [
        f"{now.unfinished:.0%} of its responses are cut off, against {first.unfinished:.0%} of the "
        f"first version's (a rise of more than {rise:.0%})"
    ]


def _entropy(first: Style, now: Style, share: float) -> list[str]:
    if first.entropy is None or now.entropy is None or now.entropy >= share * first.entropy:
        return []
    return [
        f"its entropy is {now.entropy:.2f} nats a token, the first version's was "
        f"{first.entropy:.2f} (less than {share:.0%} of that)"
    ]


def _distinct(first: Style, now: Style, share: float) -> list[str]:
    if now.distinct >= share * first.distinct:
        return []
    return [
        f"{now.distinct:.0%} of its four-token sequences are distinct, against "
        f"{first.distinct:.0%} of the first version's (less than {share:.0%} of that)"
    ]
