"""Tables of people: who may come in, and how."""

from sqlmodel import Field, SQLModel

from labeler.domain.states import RaterRole
from labeler.store.columns import enum_column


class Rater(SQLModel, table=True):
    """An account. `invite` is the hash of a one-time link that is still open."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    role: RaterRole = Field(sa_column=enum_column(RaterRole))
    created_at: float
    disabled_at: float | None = None
    password: str | None = None  # argon2id, in its own notation
    invite: str | None = None
    invite_expires_at: float | None = None


class Login(SQLModel, table=True):
    """A browser that is logged in. `id` is the hash of what its cookie holds."""

    id: str = Field(primary_key=True)
    rater_id: int = Field(foreign_key="rater.id", index=True)
    created_at: float
    expires_at: float = Field(index=True)
    ended_at: float | None = None


class FailedLogin(SQLModel, table=True):
    """A wrong password or invite: `key` tells whose, by name or by address."""

    __tablename__ = "failed_login"
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(index=True)
    at: float = Field(index=True)


class ApiKey(SQLModel, table=True):
    """What a program says in place of a login; `hash` is that of the key. `name` is its owner's."""

    __tablename__ = "api_key"

    id: int | None = Field(default=None, primary_key=True)
    hash: str = Field(unique=True)
    rater_id: int = Field(foreign_key="rater.id", index=True)
    name: str
    created_at: float
    ended_at: float | None = None
