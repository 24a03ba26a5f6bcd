"""Temperature and top-p as the model's makers recommend them, where nobody said otherwise.

They stand in the model's `generation_config.json`. What else stands there (top-k, penalties) is not
applied: DPO compares probabilities of the policy itself.
"""

import contextlib
import logging
from typing import TypeVar

from pydantic import ValidationError
from transformers import GenerationConfig

from labeler.config.parts.sampling import Sampling

log = logging.getLogger(__name__)

NAMES = {"temperature": "temperature", "top_p": "top-p"}
S = TypeVar("S", bound=Sampling)


def as_recommended(settings: S, shipped: GenerationConfig) -> S:
    """The settings with what the makers recommend in place of defaults. Said in the log."""
    advised, told = _advised(shipped), settings.model_fields_set
    taken = {name: value for name, value in advised.items() if name not in told}
    sources = {
        name: "as set" if name in told else "the makers' advice" if name in taken else "the default"
        for name in NAMES
    }
    settings = settings.model_copy(update=taken)
    says = [f"{NAMES[name]} {getattr(settings, name):g} ({sources[name]})" for name in NAMES]
    log.info("Replies are drawn at %s.", " and ".join(says))
    return settings


def _advised(shipped: GenerationConfig) -> dict[str, float]:
    """What the makers recommend, as far as it can be set here; nothing if they do not sample."""
    advised = {}
    for name in NAMES if shipped.do_sample is not False else ():
        value = getattr(shipped, name)
        with contextlib.suppress(ValidationError):
            if value is not None:
                advised[name] = getattr(Sampling.model_validate({name: value}), name)
    return advised
