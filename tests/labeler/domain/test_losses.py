"""What each loss can do."""

from labeler.domain.losses import TIE_LOSSES, Loss


def test_only_simpo_does_without_a_reference() -> None:
    assert [loss for loss in Loss if not loss.traits.needs_reference] == ["simpo"]


def test_only_rao_kupper_and_davidson_learn_ties() -> None:
    assert TIE_LOSSES == ("dpo_rk", "dpo_d")
