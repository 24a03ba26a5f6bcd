"""What may be sent on the rating path, by the page and by programs, with its bounds."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from labeler.store.rating.edits import MAX_EDIT_CHARS
from labeler.store.rating.queue import MAX_HELD
from labeler.web.body import Body

Id = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$")]
MAX_PAIRS = 8
MAX_SPARE = MAX_HELD - MAX_PAIRS
MAX_LEASES = 64
MAX_VOTES = 50
MAX_SECONDS = 7 * 24 * 3600.0
MAX_COMMENT_CHARS = 2_000
MAX_REASONS = 20
# Not only those of the settings: a vote may come late, from a page with earlier ones.
Reason = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Explained(Body):
    """What a rater adds to a vote if they like: reasons to tick, and words of their own."""

    reasons: list[Reason] = Field(default=[], max_length=MAX_REASONS)
    comment: str | None = Field(None, max_length=MAX_COMMENT_CHARS)

    @field_validator("reasons")
    @classmethod
    def _once_each(cls, reasons: list[str]) -> list[str]:
        return list(dict.fromkeys(reasons))

    @field_validator("comment")
    @classmethod
    def _none_if_blank(cls, comment: str | None) -> str | None:
        return _written(comment).strip() or None


class PairsBody(Body):
    """`wanted`: how many pairs the page wants to hold, and `spare` more for an outage; `shown`: the
    leases that it has already, the most urgent first; `give_back`: those that it would rather have
    newer ones for.
    """

    holder: Id
    shown: list[Id] = Field(default=[], max_length=MAX_LEASES)
    give_back: list[Id] = Field(default=[], max_length=MAX_LEASES)
    wanted: int = Field(ge=0, le=MAX_PAIRS)
    spare: int = Field(0, ge=0, le=MAX_SPARE)


class VoteBody(Explained):
    """One vote, by side. `seconds`: how long the pair was looked at.

    `edit` is the text that the rater made of the chosen reply.
    """

    vote_id: Id
    lease_id: Id
    choice: Literal["left", "right", "tie", "both_bad", "skip"]
    strength: Literal[1, 2] = 1
    seconds: float | None = Field(None, ge=0, le=MAX_SECONDS, allow_inf_nan=False)
    edit: str | None = Field(None, max_length=MAX_EDIT_CHARS)

    @field_validator("edit")
    @classmethod
    def _as_written(cls, edit: str | None) -> str | None:
        return _written(edit) or None

    @model_validator(mode="after")
    def _much_better_is_decisive(self) -> Self:
        if self.strength == 2 and self.choice not in ("left", "right"):
            raise ValueError("strength 2 goes only with left or right")
        if self.edit is not None and self.choice not in ("left", "right"):
            raise ValueError("an edit goes only with left or right")
        return self


class VotesBody(Body):
    """Votes in the order in which they were cast."""

    votes: list[VoteBody] = Field(min_length=1, max_length=MAX_VOTES)


class ReasonsBody(Explained):
    """Reasons for a vote that was cast before."""

    vote_id: Id


class UndoBody(Body):
    """`undo_id` is made by the page, once an undo, so that sending it again undoes no more.

    Without a `vote_id` the last vote of the page is meant.
    """

    undo_id: Id
    holder: Id
    vote_id: Id | None = None


def _written(text: str | None) -> str:
    """A text from a field of the page, as it is stored: one kind of line end, and no NUL."""
    return (text or "").replace("\r\n", "\n").replace("\0", "")
