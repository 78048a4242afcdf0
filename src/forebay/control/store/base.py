"""What the tables of every control room inherit, and how their values are stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, MetaData, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

from forebay.core.errors import Malformed


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC; naive ones are refused, so that nobody stores a local time by accident."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use datetime.now(UTC)")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Text that both databases can hold: no NUL (PostgreSQL has none) and nothing that is not Unicode."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Any) -> str | None:
        if value is None:
            return None
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise Malformed(f"{value[:80]!r} holds a NUL or half a character; leave it out")
        return value


class Base(DeclarativeBase):
    """The tables of every control room inherit from this."""

    metadata = MetaData(
        naming_convention={  # a constraint without a name could never be changed on SQLite
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {datetime: UtcTime, str: PlainText}  # noqa: RUF012 (SQLAlchemy reads a plain dict)
