"""The table of API keys."""

from sqlmodel import Field, SQLModel


class ApiKey(SQLModel, table=True):
    """What a program says in place of a login; `hash` is that of the key. `name` is its owner's."""

    __tablename__ = "api_key"

    id: int | None = Field(default=None, primary_key=True)
    hash: str = Field(unique=True)
    rater_id: int = Field(foreign_key="rater.id", index=True)
    name: str
    created_at: float
    ended_at: float | None = None
