"""The table of pairs that come from files. It stands apart from those of votes, as its rows do."""

from sqlmodel import Field, SQLModel

from labeler.store.columns import json_column


class ImportedPair(SQLModel, table=True):
    """A pair of a file that teaches the learned judge. It is no vote of this service, and counts as
    none.

    P(the first is better) = `target`, P(tie) = `tie`; `digest` finds duplicates.
    """

    __tablename__ = "imported_pair"

    id: int | None = Field(default=None, primary_key=True)
    file: str = Field(index=True)
    digest: str = Field(unique=True)
    messages: list[dict[str, str]] = Field(sa_column=json_column())
    first: str
    second: str
    target: float
    tie: float
    weight: float
    created_at: float
