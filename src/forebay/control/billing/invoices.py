"""Invoices: written once, numbered without gaps, never changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from forebay.control.billing.bills import Bill, BillLine, Kind, Part, TaxLine, bills
from forebay.control.billing.charging import closed_months, parts_of
from forebay.control.billing.money import EXACT
from forebay.control.billing.months import Month, zone_of
from forebay.control.billing.planbook import Terms
from forebay.control.billing.rating import summed
from forebay.control.billing.tables import (
    AddressRow,
    CreditRow,
    InvoiceBookRow,
    InvoicedRow,
    InvoiceRow,
    PlanUseRow,
    TotalRow,
)
from forebay.control.billing.use import COUNTS
from forebay.control.store import Database, Deed, record_deed
from forebay.core.errors import Conflict, Malformed, NotFound

_REASON_CHARS = 500
_ADDRESS_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice; one that takes another back names it in `counters`, and has its lines negated.

    `sender` and `recipient` have several lines. `countered_by` is the invoice that took this one back.
    """

    number: int
    project: str
    month: str
    currency: str
    lines: tuple[BillLine, ...]
    net: Decimal
    taxes: tuple[TaxLine, ...]
    total: Decimal
    sender: str
    recipient: str
    period_start: datetime
    period_end: datetime
    issued_at: datetime
    reason: str = ""
    counters: int | None = None
    countered_by: int | None = None


class Invoices:
    """The invoices of one database, from *sender*, by months of *zone*."""

    def __init__(self, database: Database, zone: str = "UTC", sender: str = "") -> None:
        self._database = database
        self._zone = zone_of(zone)
        self._sender = sender

    def issue(self, project: str, month: str, key_id: str) -> list[Invoice]:
        """Close *month*: an invoice for each currency; none if there is nothing to pay.

        It has the month's usage and what came too late for months that are closed. What comes later goes
        to the next. Raises `Conflict` for a month that has not ended, or is closed.
        """
        found = Month.named(month, self._zone)
        if datetime.now(UTC) < found.end:
            raise Conflict(
                f"the month {month} ends at {found.end.isoformat()}; it can be closed from then on"
            )
        with self._database.write() as session:
            book = session.get_one(InvoiceBookRow, 1, with_for_update=True)  # who writes invoices queues here
            closed = closed_months(session, project)
            if month in closed:
                raise Conflict(
                    f"the month {month} of {project} is closed; `forebay invoices` has its invoice"
                )
            parts = list(self._parts(session, project, found, closed))
            made = bills(parts, _credits(session, project))
            rows = [self._keep(session, book, project, found, bill, parts, key_id) for bill in made]
            return [_as_invoice(row) for row in rows]

    def issue_due(self, now: datetime) -> list[Invoice]:
        """Close, for every project, the last two months that had ended at *now*, unless they are closed."""
        last = Month.of(now, self._zone)
        months = [Month(*_before(last, back), self._zone) for back in (2, 1)]
        issued = []
        for project in self._projects():
            with self._database.read() as session:
                closed = closed_months(session, project)
            for month in months:
                if month.name not in closed:
                    issued += self.issue(project, month.name, "")
        return issued

    def counter(self, project: str, number: int, reason: str, key_id: str) -> Invoice:
        """Take an invoice back, by one with the opposite sign; its usage is to be invoiced again.

        Raises `NotFound`, and `Conflict` if it was taken back already or takes another back itself.
        """
        _text("reason", reason, _REASON_CHARS)
        with self._database.write() as session:
            book = session.get_one(InvoiceBookRow, 1, with_for_update=True)
            row = _one(session, project, number)
            if row.counters is not None or _countered_by(session, number) is not None:
                raise Conflict(
                    f"the invoice {number} was taken back, or takes another back; nothing is left of it"
                )
            book.last += 1
            made = _negative(row, book.last, reason, key_id)
            session.add(made)
            session.flush()
            _take_back_usage(session, number, made.number)
            detail = {"reason": reason, "by": str(made.number)}
            record_deed(
                session, Deed(project, key_id, "invoice.countered", str(number), detail), instead=True
            )
            return _as_invoice(made)

    def credit(self, project: str, currency: str, amount: Decimal, reason: str, key_id: str) -> None:
        """Give *project* money, which its next invoices in that currency use up."""
        _text("reason", reason, _REASON_CHARS)
        if not amount.is_finite() or amount <= 0 or -int(amount.as_tuple().exponent) > 6:
            raise Malformed("a credit is an amount above zero, with six decimals at most")
        with self._database.write() as session:
            session.add(
                CreditRow(
                    project=project,
                    currency=currency,
                    amount=amount,
                    reason=reason,
                    made_by=key_id,
                    made_at=datetime.now(UTC),
                )
            )
            detail = {"amount": f"{amount:f} {currency}", "reason": reason}
            record_deed(session, Deed(project, key_id, "credit.given", project, detail), instead=True)

    def credits(self, project: str) -> dict[str, Decimal]:
        """What is left of the project's credits, by currency."""
        with self._database.read() as session:
            return _credits(session, project)

    def address(self, project: str, address: str, key_id: str) -> None:
        """To whom the project's next invoices go: name and address, in lines."""
        _text("address", address.replace("\n", " "), _ADDRESS_CHARS)
        with self._database.write() as session:
            session.add(
                AddressRow(project=project, address=address, made_by=key_id, made_at=datetime.now(UTC))
            )
            record_deed(session, Deed(project, key_id, "invoice.addressed", project), instead=True)

    def all(self, project: str) -> list[Invoice]:
        """The project's invoices, by number."""
        with self._database.read() as session:
            rows = session.scalars(_of(project).order_by(InvoiceRow.number)).all()
            takers = {row.counters: row.number for row in rows if row.counters is not None}
            return [replace(_as_invoice(row), countered_by=takers.get(row.number)) for row in rows]

    def get(self, project: str, number: int) -> Invoice:
        """One invoice; raises `NotFound`."""
        with self._database.read() as session:
            row = _one(session, project, number)
            return replace(_as_invoice(row), countered_by=_countered_by(session, number))

    def _parts(self, session: Session, project: str, month: Month, closed: Iterable[str]) -> Iterator[Part]:
        terms = Terms(session, project)
        for name in closed:
            if name < month.name:
                yield from parts_of(session, terms, project, Month.named(name, self._zone), late=True)
        yield from parts_of(session, terms, project, month)

    def _keep(
        self,
        session: Session,
        book: InvoiceBookRow,
        project: str,
        month: Month,
        bill: Bill,
        parts: Iterable[Part],
        key_id: str,
    ) -> InvoiceRow:
        book.last += 1
        used = summed(-line.amount for line in bill.lines if line.kind is Kind.CREDIT)
        row = InvoiceRow(
            number=book.last,
            project=project,
            month=month.name,
            currency=bill.currency,
            lines=_json(bill.lines),
            taxes=_json(bill.taxes),
            net=bill.net,
            total=bill.total,
            credit=used,
            sender=self._sender,
            recipient=_recipient(session, project),
            reason="",
            period_start=month.start,
            period_end=month.end,
            issued_by=key_id,
            issued_at=datetime.now(UTC),
        )
        session.add(row)
        session.flush()
        usage = [
            _usage_row(row.number, project, part, place)
            for part in parts
            if part.plan.currency == bill.currency
            for place in range(len(part.items))
        ]
        if usage:
            session.execute(insert(InvoicedRow), usage)
        detail = {"month": month.name, "total": f"{bill.total:f} {bill.currency}"}
        record_deed(session, Deed(project, key_id, "invoice.issued", str(row.number), detail), instead=True)
        return row

    def _projects(self) -> list[str]:
        with self._database.read() as session:
            used = set(session.scalars(select(TotalRow.project).distinct()))
            return sorted(used | set(session.scalars(select(PlanUseRow.project).distinct())))


def _before(month: Month, back: int) -> tuple[int, int]:
    """The year and the month so many months before."""
    year, rest = divmod(month.year * 12 + month.month - 1 - back, 12)
    return year, rest + 1


def _usage_row(number: int, project: str, part: Part, place: int) -> dict[str, object]:
    item = part.items[place]
    model, version, key_id = item.group
    counts = {name: getattr(item.use, name) for name in COUNTS}
    line = {"model": model, "version": version, "key_id": key_id}
    return {"invoice": number, "project": project, "month": part.month, "since": part.since, **line, **counts}


def _negative(row: InvoiceRow, number: int, reason: str, key_id: str) -> InvoiceRow:
    lines = tuple(
        replace(line, quantity=_minus(line.quantity), cost=_minus(line.cost), amount=_minus(line.amount))
        for line in _lines(row)
    )
    return InvoiceRow(
        number=number,
        project=row.project,
        month=row.month,
        counters=row.number,
        currency=row.currency,
        lines=_json(lines),
        taxes=_json(replace(tax, amount=_minus(tax.amount)) for tax in _taxes(row)),
        net=_minus(row.net),
        total=_minus(row.total),
        credit=_minus(row.credit),
        sender=row.sender,
        recipient=row.recipient,
        reason=reason,
        period_start=row.period_start,
        period_end=row.period_end,
        issued_by=key_id,
        issued_at=datetime.now(UTC),
    )


def _take_back_usage(session: Session, number: int, by: int) -> None:
    for row in session.scalars(select(InvoicedRow).where(InvoicedRow.invoice == number)).all():
        keys = ("project", "month", "since", "model", "version", "key_id")
        same = {name: getattr(row, name) for name in keys}
        session.add(InvoicedRow(invoice=by, **same, **{name: -getattr(row, name) for name in COUNTS}))


def _minus(amount: Decimal) -> Decimal:
    return EXACT.minus(amount) if amount else amount


def _credits(session: Session, project: str) -> dict[str, Decimal]:
    left: dict[str, Decimal] = {}
    for row in session.scalars(select(CreditRow).where(CreditRow.project == project)):
        left[row.currency] = EXACT.add(left.get(row.currency, Decimal(0)), row.amount)
    used = select(InvoiceRow.currency, InvoiceRow.credit).where(InvoiceRow.project == project)
    for currency, amount in session.execute(used):
        if currency in left:
            left[currency] = EXACT.subtract(left[currency], amount)
    return left


def _recipient(session: Session, project: str) -> str:
    found = select(AddressRow.address).where(AddressRow.project == project)
    return session.scalar(found.order_by(AddressRow.number.desc()).limit(1)) or project


def _of(project: str) -> Select[InvoiceRow]:
    return select(InvoiceRow).where(InvoiceRow.project == project)


def _one(session: Session, project: str, number: int) -> InvoiceRow:
    row = session.scalar(_of(project).where(InvoiceRow.number == number))
    if row is None:
        raise NotFound(
            f"the project {project} has no invoice {number}; `forebay invoices` lists those it has"
        )
    return row


def _countered_by(session: Session, number: int) -> int | None:
    return session.scalar(select(InvoiceRow.number).where(InvoiceRow.counters == number))


def _json(found: Iterable[object]) -> str:
    return msgspec.json.encode(list(found)).decode()


def _lines(row: InvoiceRow) -> tuple[BillLine, ...]:
    return msgspec.json.decode(row.lines, type=tuple[BillLine, ...])


def _taxes(row: InvoiceRow) -> tuple[TaxLine, ...]:
    return msgspec.json.decode(row.taxes, type=tuple[TaxLine, ...])


def _as_invoice(row: InvoiceRow) -> Invoice:
    return Invoice(
        number=row.number,
        project=row.project,
        month=row.month,
        currency=row.currency,
        lines=_lines(row),
        net=row.net,
        taxes=_taxes(row),
        total=row.total,
        sender=row.sender,
        recipient=row.recipient,
        period_start=row.period_start,
        period_end=row.period_end,
        issued_at=row.issued_at,
        reason=row.reason,
        counters=row.counters,
    )


def _text(what: str, said: str, most: int) -> None:
    if not 0 < len(said.strip()) <= most or not said.isprintable():
        raise Malformed(f"the {what} has 1 to {most} printable characters")
