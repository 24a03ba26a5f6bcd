"""How far an update goes, told by its settings: after many labels, after refusals, with few pairs.

`trainer.learning.steps` sees to it that it goes no further.
"""

import math

from labeler.config.parts.training import Training

MAX_SHARE = 4.0
MAX_PASSES = 4  # for each that is set


def decayed(settings: Training, used: int) -> Training:
    """The same with the steps of an update that comes after `used` labels.

    They fall as 1 / (1 + used / decay_labels): inverse-time decay, whose steps add up without bound
    while their squares do not (Robbins and Monro 1951).
    """
    if not settings.decay_labels:
        return settings
    return slowed(settings, 1 / (1 + used / settings.decay_labels))


def slowed(settings: Training, factor: float) -> Training:
    """The same with steps of `factor` times the length. KL goes by the square of a length."""
    if settings.learning_rate is not None:
        return settings.model_copy(update={"learning_rate": settings.learning_rate * factor})
    return settings.model_copy(update={"update_kl": settings.update_kl * factor**2})


def weighted(settings: Training, share: float) -> Training:
    """The same for labels that weigh `share` of what they usually do, however many they are.

    Weighing four times as much they go twice as far, and no further. At a given rate the pairs that
    make the difference have steps of their own, so none becomes longer.
    """
    most = MAX_SHARE if settings.learning_rate is None else 1.0
    return slowed(settings, math.sqrt(min(share, most)))


def made_up(settings: Training, pairs: int, usual: int) -> Training:
    """The same with more passes where there are fewer pairs than usual, at most MAX_PASSES as many.

    At a given rate an update goes as far as it has steps. Where steps are measured they are longer
    if they are few, so nothing is to be made up for.
    """
    if settings.learning_rate is None:
        return settings
    times = min(max(1, round(usual / pairs)), MAX_PASSES)
    return settings.model_copy(update={"passes": times * settings.passes})
