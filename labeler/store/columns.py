"""How the tables store what a database has no type for: states, JSON, findings."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import JSON, Column

from labeler.domain.finding import NOTHING, Finding


def enum_column(kind: type[StrEnum], **options: Any) -> Column[Any]:
    """A state, stored by its value and checked when it is read or written."""
    values = [member.value for member in kind]
    stored = sa.Enum(
        kind, native_enum=False, length=16, values_callable=lambda _: values, validate_strings=True
    )
    return Column(stored, nullable=False, **options)


def only_where(condition: str) -> dict[str, Any]:
    """A partial index, in the words of both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def json_column(*, nullable: bool = False) -> Column[Any]:
    """A value that is stored as JSON."""
    return Column(JSON(none_as_null=True), nullable=nullable)


class _FindingJson(sa.TypeDecorator[Finding]):
    """A finding, in a column of JSON."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Finding | None, dialect: sa.Dialect) -> dict[str, Any]:
        return (value or NOTHING).to_json()

    def process_result_value(self, value: dict[str, Any] | None, dialect: sa.Dialect) -> Finding:
        return Finding.from_json(value or {})


def finding_column() -> Column[Finding]:
    """The column has had the name since before there was a `Finding`."""
    return Column("metrics", _FindingJson(none_as_null=True), nullable=False)
