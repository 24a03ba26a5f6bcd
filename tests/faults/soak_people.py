"""Raters of a soak: they vote by a taste, edit now and then, and ask questions of their own.

Their taste has an end: a policy that follows it does not change for ever.
"""

import time
import uuid
from typing import Any

from tests.benchmarks.load_ours import PageRater

EDIT_SHARE, ASK_SHARE, STRAY_SHARE = 0.05, 0.05, 0.1
LIKED_CHARACTERS = 250
TOPICS = ("tea", "bread", "a bed", "a letter", "soup", "a bicycle", "a garden")
LOOK_SECONDS, MAX_LOOKS = 0.5, 240


class SoakRater(PageRater):
    """Nine times in ten likes the reply of the better length, and else says anything."""

    def __init__(self, port: int, cookie: str, seed: int) -> None:
        super().__init__(port, cookie, seed)
        self.asked = self.answered = self.edited = 0

    def vote(self) -> None:
        """Vote; one time in twenty ask something first, and vote on its replies."""
        if self._rng.random() < ASK_SHARE and (pair := self._ask_own()) is not None:
            self._hand.insert(0, pair)
        super().vote()

    def _opinion(self, pair: dict[str, Any]) -> dict[str, Any]:
        left, right = (abs(len(pair[f"{s}_text"]) - LIKED_CHARACTERS) for s in ("left", "right"))
        if self._rng.random() < STRAY_SHARE or left == right:
            return super()._opinion(pair)
        side = "left" if left < right else "right"
        if self._rng.random() < EDIT_SHARE:
            self.edited += 1
            return {"choice": side, "edit": pair[f"{side}_text"] + " Enjoy."}
        return {"choice": side, "strength": self._rng.choice((1, 2))}

    def _ask_own(self) -> dict[str, Any] | None:
        """Ask, and wait for the pair; None if it did not come."""
        ask_id = str(uuid.uuid4())
        text = f"How do I make {self._rng.choice(TOPICS)} in {self._rng.randint(2, 90)} minutes?"
        if self._ask("POST", "/rating/asks", {"ask_id": ask_id, "text": text}) is None:
            return None
        self.asked += 1
        for _ in range(MAX_LOOKS):
            found = self._ask("GET", f"/rating/asks/{ask_id}?holder={self._holder}")
            if found is not None and found["state"] not in ("waiting", "sampling"):
                self.answered += found["pair"] is not None
                pair: dict[str, Any] | None = found["pair"]
                return pair
            time.sleep(LOOK_SECONDS)
        return None
