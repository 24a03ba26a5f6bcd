"""Tables of the service itself: whose it is, and the processes that it is made of."""

import uuid
from typing import Any

from sqlmodel import Field, SQLModel

from labeler.store.columns import json_column


class Service(SQLModel, table=True):
    """One row: which base policy this database belongs to, and how its replies are drawn.

    `drawing` is what the worker said last; None before it has. `identity`: no other service's.
    """

    id: int = Field(default=1, primary_key=True)
    base: str
    fingerprint: str
    drawing: dict[str, Any] | None = Field(default=None, sa_column=json_column(nullable=True))
    identity: str = Field(default_factory=lambda: uuid.uuid4().hex)


class ProcessState(SQLModel, table=True):
    """What a process of the service last said of itself, and its alarm if it has one."""

    __tablename__ = "role_state"
    name: str = Field(primary_key=True)
    pid: int | None = None
    says: str = ""
    beat_at: float | None = None
    alarm: str | None = None


class RoleLease(SQLModel, table=True):
    """Which process has a role that one at a time may have; `token` is None if nobody has."""

    __tablename__ = "role_lease"
    role: str = Field(primary_key=True)
    token: str | None = None
    holder: str = ""
    beats: int = 0
    beat_at: float = 0.0
