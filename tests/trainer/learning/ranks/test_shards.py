"""Which bases can be split. That one is, two ranks show in `test_ranks`."""

import pytest
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from labeler.domain.errors import LivedpoError
from trainer.learning.ranks.shards import layers_of, split
from trainer.policy.policy import Policy


def test_a_packed_base_is_refused(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "packing", "nf4")
    with pytest.raises(LivedpoError, match="its weights are packed as nf4"):
        split(policy, "cpu")


def test_a_base_whose_pairs_take_several_passes_is_refused(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "packs", False)
    with pytest.raises(LivedpoError, match="its pairs cannot be computed in one pass each"):
        split(policy, "cpu")


def test_a_layer_within_a_layer_is_split_with_it() -> None:
    class Layer(GradientCheckpointingLayer):
        """One of a model."""

    outer, other = Layer(), Layer()
    outer.inner = Layer()
    assert layers_of(nn.ModuleList([outer, other])) == [outer, other]
