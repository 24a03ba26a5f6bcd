"""What a trainer says while there is nothing to learn: the sign of life of one at rest."""

from trainer.worker.workplace import Workplace

SAYS = "Waiting for an update to fall due."


class RestJob:
    """The last job: its turn comes only where the others have had nothing to do."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    def step(self, now: float) -> bool:
        """Say so; there is nothing to do."""
        del now
        self._place.say(SAYS)
        return False
