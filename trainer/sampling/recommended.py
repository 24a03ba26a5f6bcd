"""Temperature and top-p as the model's makers recommend them, where nobody said otherwise.

They stand in the model's `generation_config.json`. What else stands there (top-k, penalties) is not
applied: DPO compares probabilities of the policy itself.
"""

import contextlib
import logging

from pydantic import ValidationError
from transformers import GenerationConfig

from labeler.config.load import from_policy
from labeler.config.parts.sampling import Sampling
from labeler.config.settings import Settings
from labeler.domain.drawing import Drawing
from labeler.domain.sentences.policy import drawn_at

log = logging.getLogger(__name__)

NAMES = ("temperature", "top_p")


def as_recommended(settings: Settings, shipped: GenerationConfig) -> tuple[Settings, Drawing]:
    """The settings with what the makers recommend in place of defaults. Said in the log."""
    own = from_policy(settings.policy, unattended=settings.unattended)
    advised, told = _advised(shipped), settings.model_fields_set
    taken = {name: value for name, value in advised.items() if name not in told}

    def source(name: str) -> str:
        if name in told:
            return "the policy's own file" if own.get(name) == getattr(settings, name) else "as set"
        return "the makers' advice" if name in taken else "the default"

    settings = settings.model_copy(update=taken)
    drawing = Drawing(
        temperature=settings.temperature,
        temperature_from=source("temperature"),
        top_p=settings.top_p,
        top_p_from=source("top_p"),
        max_new_tokens=settings.max_new_tokens,
    )
    log.info("Replies are drawn at %s.", drawn_at(drawing))
    return settings, drawing


def _advised(shipped: GenerationConfig) -> dict[str, float]:
    """What the makers recommend, as far as it can be set here; nothing if they do not sample."""
    advised = {}
    for name in NAMES if shipped.do_sample is not False else ():
        value = getattr(shipped, name)
        with contextlib.suppress(ValidationError):
            if value is not None:
                advised[name] = getattr(Sampling.model_validate({name: value}), name)
    return advised
