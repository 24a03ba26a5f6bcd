"""How often people could not choose, on the live version and before it. Counts alone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Undecided:
    """How many of people's votes on the live version were skips or "both bad", and before it.

    `by_chance`: how likely so many are if nothing has changed.
    """

    version: int
    hits: int
    votes: int
    earlier_hits: int
    earlier_votes: int
    by_chance: float

    @property
    def shares(self) -> tuple[float, float]:
        """Of the live version, and before; 0 of none."""
        before = self.earlier_hits / self.earlier_votes if self.earlier_votes else 0.0
        return self.hits / self.votes if self.votes else 0.0, before
