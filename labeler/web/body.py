"""What every JSON body of a request has in common."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Unknown fields are refused, and no error repeats what was sent: it may be a password."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NoBody(Body):
    """Of a request that says all in its address."""
