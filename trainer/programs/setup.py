"""The service's settings as those of the trainer's parts."""

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from trainer.gate.gate import Limits
from trainer.learning.objective import Objective
from trainer.learning.update import TrainingSettings
from trainer.policy.policy import Policy, PolicySettings
from trainer.sampling.local import SamplingSettings


def policy_settings(settings: Settings) -> PolicySettings:
    """How to load the policy."""
    return PolicySettings(
        policy=settings.policy,
        device=settings.device,
        dtype=settings.dtype,
        lora_rank=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        seed=settings.seed,
    )


def sampling_settings(settings: Settings) -> SamplingSettings:
    """How to draw responses."""
    return SamplingSettings(settings.temperature, settings.top_p, settings.max_new_tokens)


def training_settings(settings: Settings, seed: int, used: int = 0) -> TrainingSettings:
    """How one update learns; `seed` orders its labels, and `used` were learned from before.

    The learning rate falls as 1 / (1 + used / decay_labels): inverse-time decay, whose steps add up
    without bound while their squares do not (Robbins and Monro 1951).
    """
    decay = 1 + used / settings.decay_labels if settings.decay_labels else 1
    objective = Objective(
        loss=settings.loss,
        beta=settings.beta,
        label_smoothing=settings.label_smoothing,
        simpo_gamma=settings.simpo_gamma,
        length_alpha=settings.length_alpha,
    )
    return TrainingSettings(
        objective=objective,
        learning_rate=settings.learning_rate / decay,
        passes=settings.passes,
        batch_pairs=settings.batch_pairs,
        max_grad_norm=settings.max_grad_norm,
        seed=seed,
        micro_tokens=settings.micro_tokens,
        reference=settings.reference,
    )


def gate_limits(settings: Settings) -> Limits:
    """What keeps a candidate back."""
    return Limits(
        max_kl_live=settings.gate_max_kl_live,
        max_kl_reference=settings.gate_max_kl_reference,
        max_length_change=settings.gate_max_length_change,
        max_unfinished_rise=settings.gate_max_unfinished_rise,
        max_repetition_rise=settings.gate_max_repetition_rise,
        max_agreement_drop=settings.gate_max_agreement_drop,
    )


def refuse_small_context(settings: Settings, policy: Policy) -> None:
    """Raise BadInput if responses alone would fill the policy's context."""
    if settings.max_new_tokens >= policy.context_tokens:
        raise BadInput(
            f"'max_new_tokens' cannot be {settings.max_new_tokens}: the context of the policy is "
            f"{policy.context_tokens} tokens, and prompts need some of it."
        )
