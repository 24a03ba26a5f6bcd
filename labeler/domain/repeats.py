"""Trouble that comes again and again is said once a minute, with how often it came. Pure."""

from dataclasses import dataclass, field

QUIET_SECONDS = 60.0
FORGOTTEN_SECONDS = 3600.0


@dataclass
class Repeats:
    """What was said of late, when, and how often it came since."""

    _said: dict[str, tuple[float, int]] = field(default_factory=dict)

    def since(self, sentence: str, now: float) -> int | None:
        """None if this was said within the last minute; else how often it was held back since.

        A clock that is set back does not silence it.

        >>> repeats = Repeats()
        >>> [repeats.since("full", now) for now in (0, 1, 59, 60, 61, 500)]
        [0, None, None, 2, None, 1]
        """
        said_at, held_back = self._said.get(sentence, (float("-inf"), 0))
        if 0 <= now - said_at < QUIET_SECONDS:
            self._said[sentence] = said_at, held_back + 1
            return None
        fresh = {what: said for what, said in self._said.items() if _is_fresh(said[0], now)}
        self._said = fresh | {sentence: (now, 0)}
        return held_back


def _is_fresh(said_at: float, now: float) -> bool:
    return 0 <= now - said_at < FORGOTTEN_SECONDS


def again(sentence: str, times: int) -> str:
    """The sentence, with how often it came and was not said.

    >>> again("The disk is full.", 0), again("The disk is full.", 12)
    ('The disk is full.', 'The disk is full. (12 times more in between)')
    """
    return f"{sentence} ({times} times more in between)" if times else sentence
