"""Whose request it is. `labeler.web.door.security` finds out before any route runs."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from pydantic import Field

from labeler.domain.states import RaterRole

# What JavaScript counts to; the database goes further.
Id = Annotated[int, Field(ge=0, le=2**53)]


@dataclass(frozen=True)
class Person:
    """An account, as its request comes in."""

    rater_id: int
    name: str
    role: RaterRole
    single_user: bool = False  # nobody else has an account, and nobody logs in


def person_of(request: Request) -> Person:
    """The person whom the door let in."""
    person = request.state.person
    assert isinstance(person, Person)
    return person


def rater_of(request: Request) -> int:
    """Their number."""
    return person_of(request).rater_id


PersonHere = Annotated[Person, Depends(person_of)]
RaterId = Annotated[int, Depends(rater_of)]
