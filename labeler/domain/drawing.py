"""How replies are drawn, and who said so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Drawing:
    """The settings in force, each of the first two with where it comes from, in a few words."""

    temperature: float
    temperature_from: str
    top_p: float
    top_p_from: str
    max_new_tokens: int

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What `vars` made."""
        return cls(**stored)
