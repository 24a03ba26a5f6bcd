"""How many tokens a model takes, by its config."""

from typing import Any

UNBOUNDED = 1_000_000  # models with a state have no limit of their own


def context_of(config: Any) -> int:
    """Longest prompt and response together, in tokens, of which no row changes another.

    LongRoPE has short and long factors. `transformers` chooses them by the largest position in the
    whole pass, so one long row would change all rows beside it. Where no row is long enough for the
    long ones, the short ones always hold.
    """
    text = config.get_text_config()
    whole = int(getattr(text, "max_position_embeddings", 0) or UNBOUNDED)
    return min([whole, *_chosen_by_length(text)])


def shortened(config: Any) -> str | None:
    """Why a context is shorter than the makers say, in a sentence; None if it is not."""
    limits = _chosen_by_length(config.get_text_config())
    if not limits:
        return None
    return (
        f"The policy is used up to {min(limits):,} tokens: beyond these its rotary positions "
        "(LongRoPE) change, for all replies that are computed together."
    )


def _chosen_by_length(text: Any) -> list[int]:
    """Up to which positions the short factors hold, of each kind of layer that has LongRoPE."""
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = [rope, *(kind for kind in rope.values() if isinstance(kind, dict))]
    return [
        int(kind["original_max_position_embeddings"])
        for kind in kinds
        if kind.get("rope_type") == "longrope"
    ]
