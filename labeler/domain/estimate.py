"""A figure, and how sure it is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

Z_95 = 1.96


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, from `count` cases.

    Where there is no such figure, all three are None, and `why` says why.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int
    why: str | None = None

    @classmethod
    def none(cls, why: str, count: int = 0) -> Self:
        """No figure."""
        return cls(None, None, None, count, why)

    @classmethod
    def share(cls, hits: float, count: int, why: str) -> Self:
        """A share in [0, 1] with Wilson's interval; no figure, and `why`, if `count` is 0."""
        return cls(hits / count, *wilson(hits, count), count) if count else cls.none(why)

    @classmethod
    def rate(cls, rate: float, count: int) -> Self:
        """A share of which only the rate and the count (at least one) are known."""
        return cls(rate, *wilson(rate * count, count), count)

    def __format__(self, form: str) -> str:
        """The figure and its interval, as f"{estimate:.0%}" is "61% [52%, 70%]"."""
        if self.value is None:
            return f"unknown ({self.why})"
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """The figure that `to_json` wrote."""
        return cls(**found)

    def to_json(self) -> dict[str, Any]:
        """For JSON: four digits, and None for what is not finite."""
        return {
            name: _rounded(value) if isinstance(value, float) else value
            for name, value in vars(self).items()
        }


def wilson(hits: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a share of `count` cases, at least one (Wilson 1927)."""
    rate = hits / count
    shrink = 1 + Z_95**2 / count
    centre = (rate + Z_95**2 / (2 * count)) / shrink
    half = Z_95 * math.sqrt(rate * (1 - rate) / count + Z_95**2 / (4 * count**2)) / shrink
    return max(0.0, centre - half), min(1.0, centre + half)


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
