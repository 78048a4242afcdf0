"""The rows of `control/billing`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary, Text, TypeDecorator, UniqueConstraint
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
    """One version of a plan, for ever; `terms` is `plans.Plan` as JSON. A new database has one, `default`."""

    __tablename__ = "plans"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    holds_from: Mapped[datetime]
    terms: Mapped[str]
    made_by: Mapped[str]
    made_at: Mapped[datetime]


class PlanUseRow(Base):
    """From `holds_from` on this plan holds for this project; of two that begin at once, the later row's."""

    __tablename__ = "plan_uses"

    number: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    plan: Mapped[str]
    holds_from: Mapped[datetime]
    made_by: Mapped[str]
    made_at: Mapped[datetime]


class LimitRow(Base):
    """What calls may take; without a key or a model (empty), those by all keys, of all models, count."""

    __tablename__ = "call_limits"

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    unit: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    period_s: Mapped[int]
    key_id: Mapped[str]
    model: Mapped[str]
    by_platform: Mapped[bool]
    set_by: Mapped[str]
    set_at: Mapped[datetime]


class LeaseRow(Base):
    """How many permits of a limit one worker of a node may have, and the number of its last word."""

    __tablename__ = "limit_leases"

    limit_id: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str] = mapped_column(primary_key=True)
    permits: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(BigInteger)


class InvoiceBookRow(Base):
    """The single row with the last invoice's number; who writes one holds its lock, so none is missing."""

    __tablename__ = "invoice_book"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


class InvoiceRow(Base):
    """An invoice, or (`counters` names another) one that takes another back; never changed.

    `lines` and `taxes` are JSON. `credit` is what it used of the project's credits.
    """

    __tablename__ = "invoices"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project: Mapped[str] = mapped_column(index=True)
    month: Mapped[str]
    counters: Mapped[int | None] = mapped_column(unique=True)
    currency: Mapped[str]
    lines: Mapped[str]
    taxes: Mapped[str]
    net: Mapped[Decimal] = mapped_column(Exact)
    total: Mapped[Decimal] = mapped_column(Exact)
    credit: Mapped[Decimal] = mapped_column(Exact)
    sender: Mapped[str]
    recipient: Mapped[str]
    reason: Mapped[str]
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    issued_by: Mapped[str]
    issued_at: Mapped[datetime]


class InvoicedRow(Base):
    """What an invoice has of the usage of a month, from the moment `since` on at which terms began to hold.

    A counter invoice has the same with the opposite sign, so the sums are what is invoiced.
    """

    __tablename__ = "invoiced_usage"
    __table_args__ = (Index("invoiced_usage_by_month", "project", "month"),)

    invoice: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    month: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str]
    requests: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    request_bytes: Mapped[int] = mapped_column(BigInteger)
    response_bytes: Mapped[int] = mapped_column(BigInteger)
    compute_ns: Mapped[int] = mapped_column(BigInteger)
    cached: Mapped[int] = mapped_column(BigInteger)
    cached_rows: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    audio_ms: Mapped[int] = mapped_column(BigInteger)
    energy_uj: Mapped[int] = mapped_column(BigInteger)


class CreditRow(Base):
    """Money that a project is given; its next invoices use it up."""

    __tablename__ = "credits"

    number: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    currency: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Exact)
    reason: Mapped[str]
    made_by: Mapped[str]
    made_at: Mapped[datetime]


class AddressRow(Base):
    """To whom a project's invoices go, from now on."""

    __tablename__ = "billing_addresses"

    number: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    address: Mapped[str]
    made_by: Mapped[str]
    made_at: Mapped[datetime]


class LedgerRow(Base):
    """The single row (a new database has it, empty) that counts events; who appends holds its lock.

    `seal` is the last block's.
    """

    __tablename__ = "ledger"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    events: Mapped[int] = mapped_column(BigInteger)
    seal: Mapped[bytes] = mapped_column(LargeBinary)


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


class BlockRow(Base):
    """Consecutive events of one journal, in the compressed frames that their node wrote; never changed.

    Events are numbered in their order of arrival, from 1, without holes; *number* is that of the first here.
    The seal is `blocks.seal_of` of all the other columns and of the block before.
    """

    __tablename__ = "usage_blocks"
    __table_args__ = (UniqueConstraint("journal", "first_seq"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    events: Mapped[int] = mapped_column(BigInteger)
    journal: Mapped[str]
    first_seq: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    seal: Mapped[bytes] = mapped_column(LargeBinary)


class PlaceRow(Base):
    """The *block* (its number) has events of this project in this hour (since 1970)."""

    __tablename__ = "usage_places"
    __table_args__ = (Index("usage_places_by_hour", "project", "hour", "block"),)

    project: Mapped[str] = mapped_column(primary_key=True)
    block: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class TotalRow(Base):
    """What the events with these values of `tally.Key` add up to.

    Projects and keys are only named, not referred to: what was served is billed whatever became of them.
    """

    __tablename__ = "usage_totals"

    project: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    protocol: Mapped[str] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    request_bytes: Mapped[int] = mapped_column(BigInteger)
    response_bytes: Mapped[int] = mapped_column(BigInteger)
    compute_ns: Mapped[int] = mapped_column(BigInteger)
    cached: Mapped[int] = mapped_column(BigInteger)
    cached_rows: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    audio_ms: Mapped[int] = mapped_column(BigInteger)
    energy_uj: Mapped[int] = mapped_column(BigInteger)
