"""What every part of the settings is, and the marks that a field may carry."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Settings of one kind. Frozen once made; `model_copy(update=...)` makes another."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Mark(Enum):
    """Stands in a field's annotation: `Annotated[float, Mark.POLICY_MAY_SET]`.

    POLICY_MAY_SET: a policy folder's own `livedpo.toml` may hold it. What suits a 2M-parameter
    starter would break an 8B model, so such values travel with the weights.
    SERVE_ONLY: it means nothing where nobody is there to rate.
    """

    POLICY_MAY_SET = "policy may set"
    SERVE_ONLY = "serve only"


@dataclass(frozen=True)
class Unattended:
    """Stands there too: the default of an unattended run, where that is another one."""

    default: Any
