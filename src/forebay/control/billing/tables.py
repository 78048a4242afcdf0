"""The rows of `control/billing`."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Date, Index, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from forebay.control.store import Base


class Exact(TypeDecorator[Decimal]):
    """A `Decimal`, digit by digit: as text, because SQLite has no exact numbers beside integers."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> str | None:  # noqa: ARG002 (SQLAlchemy passes it)
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Any) -> Decimal | None:  # noqa: ARG002 (SQLAlchemy passes it)
        return None if value is None else Decimal(value)


class PlanRow(Base):
    """Prices; a new database has `rating.DEFAULT_PLAN`."""

    __tablename__ = "plans"

    name: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str]
    per_request: Mapped[Decimal] = mapped_column(Exact)
    per_row: Mapped[Decimal] = mapped_column(Exact)
    per_compute_s: Mapped[Decimal] = mapped_column(Exact)
    decimals: Mapped[int]


class LedgerRow(Base):
    """The single row (a new database has it, with 0) that counts events; who appends holds its lock."""

    __tablename__ = "ledger"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    events: Mapped[int] = mapped_column(BigInteger)


class JournalRow(Base):
    """How far a node's journal has been taken over: everything before `next_seq`, but for its gaps."""

    __tablename__ = "journals"

    name: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str]
    next_seq: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime]


class GapRow(Base):
    """Sequence numbers from `first_seq` up to before `end_seq` that never arrived; gone when they do."""

    __tablename__ = "journal_gaps"

    journal: Mapped[str] = mapped_column(primary_key=True)
    first_seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    end_seq: Mapped[int] = mapped_column(BigInteger)
    noticed_at: Mapped[datetime]


class UsageRow(Base):
    """One billable request. `number` counts all events in their order of arrival, without holes.

    Projects and keys are only named, not referred to: what was served is billed whatever became of them.
    """

    __tablename__ = "usage_events"
    __table_args__ = (
        UniqueConstraint("journal", "seq"),
        Index("usage_events_by_time", "project", "time_ns"),
        Index("usage_events_by_number", "project", "number"),
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    journal: Mapped[str]
    seq: Mapped[int] = mapped_column(BigInteger)
    time_ns: Mapped[int] = mapped_column(BigInteger)
    day: Mapped[date] = mapped_column(Date)
    received_at: Mapped[datetime]
    project: Mapped[str]
    key_id: Mapped[str]
    model: Mapped[str]
    version: Mapped[int] = mapped_column(BigInteger)
    protocol: Mapped[str]
    operation: Mapped[str]
    rows: Mapped[int] = mapped_column(BigInteger)
    request_bytes: Mapped[int] = mapped_column(BigInteger)
    response_bytes: Mapped[int] = mapped_column(BigInteger)
    queue_ns: Mapped[int] = mapped_column(BigInteger)
    compute_ns: Mapped[int] = mapped_column(BigInteger)
    wall_ns: Mapped[int] = mapped_column(BigInteger)
    request_id: Mapped[str]
