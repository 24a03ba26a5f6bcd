"""The sizes of a build. A test passes small ones; `python -m trainer.starter` uses the defaults."""

from dataclasses import dataclass

THREADS = 2  # fixed, because sums in another order give other bytes


@dataclass(frozen=True)
class Sizes:
    """How large the starter is and how long it trains."""

    vocabulary: int = 1280  # tokens
    vocabulary_conversations: int = 4_000  # to learn the vocabulary from
    context_tokens: int = 512

    policy_width: int = 192
    policy_layers: int = 4
    policy_heads: int = 4
    policy_key_value_heads: int = 2
    policy_inner: int = 640
    policy_conversations: int = 28_000  # each is seen once
    policy_batch: int = 8  # conversations
    policy_learning_rate: float = 7e-3

    reward_layers: int = 2  # the first layers of the trained policy
    reward_pairs: int = 6_000  # each is seen once
    reward_batch: int = 24  # pairs
    reward_learning_rate: float = 1e-3
    reward_held_out_pairs: int = 1_000

    measured_prompts: int = 256  # one response each
    max_new_tokens: int = 160  # of a measured response

    def __post_init__(self) -> None:
        if self.policy_width % self.policy_heads or self.policy_heads % self.policy_key_value_heads:
            raise ValueError(
                f"{self.policy_width=} must be a multiple of {self.policy_heads=}, "
                f"and that of {self.policy_key_value_heads=}"
            )
        if self.reward_layers > self.policy_layers:
            raise ValueError(f"{self.reward_layers=} is more than {self.policy_layers=}")
