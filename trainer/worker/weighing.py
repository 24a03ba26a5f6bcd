"""How much votes weigh, for the labels of an update and for the models that learn from votes."""

from collections.abc import Mapping

from labeler.config.settings import Settings
from labeler.domain.judging import Example
from labeler.store import Store
from labeler.store.views.trust import Weights


class Weighing:
    """`--weigh-raters` and `--strong-weight`, applied to the votes of this store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._weights: Weights | None = None

    def by_rater(self) -> Mapping[int, float]:
        """How much each rater's votes weigh, by id; nothing said: all alike.

        Worked out anew once enough votes came, which takes a second or two.
        """
        if not self._settings.weigh_raters:
            return {}
        self._weights = self._store.trust.weights(self._weights)
        return self._weights.by_rater

    def examples(
        self, *, by_judges: bool = False, but_held_out_of: int | None = None
    ) -> list[Example]:
        """What people said of pairs, or judges, as `Judging.examples` has it, so weighed."""
        return self._store.judging.examples(
            by_judges=by_judges,
            but_held_out_of=but_held_out_of,
            strong_weight=self._settings.strong_weight,
            reliability=self.by_rater(),
        )
