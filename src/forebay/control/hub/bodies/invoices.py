"""Invoices, credits and addresses."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import ConfigDict, Field

from forebay.control.billing import Invoice
from forebay.control.hub.bodies.base import Asked, Told
from forebay.control.hub.bodies.plans import BILL, BillAnswer


class InvoiceAnswer(BillAnswer):
    """An invoice; one that takes another back names it in `counters` and has its lines negated."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **BILL,
                    "number": 17,
                    "project": "default",
                    "month": "2026-11",
                    "sender": "Models Ltd\nHarbour Street 1",
                    "recipient": "Ada Ltd\nMill Lane 2",
                    "period_start": "2026-11-01T00:00:00Z",
                    "period_end": "2026-12-01T00:00:00Z",
                    "issued_at": "2026-12-04T00:00:00Z",
                    "reason": "",
                    "counters": None,
                    "countered_by": None,
                }
            ]
        }
    )

    number: int
    project: str
    month: str
    sender: str
    recipient: str
    period_start: datetime
    period_end: datetime
    issued_at: datetime
    reason: str
    counters: int | None = None
    countered_by: int | None = None

    @classmethod
    def of(cls, invoice: Invoice) -> InvoiceAnswer:
        """An invoice, as it is shown."""
        return cls.model_validate(invoice)


class InvoiceList(Told):
    """Invoices, by number."""

    items: list[InvoiceAnswer]

    @classmethod
    def listing(cls, found: list[Invoice]) -> InvoiceList:
        """As they are shown."""
        return cls(items=[InvoiceAnswer.of(invoice) for invoice in found])


class IssueBody(Asked):
    """The month to close."""

    month: str = Field(examples=["2025-11"])


class CounterBody(Asked):
    """Why an invoice is taken back."""

    reason: str = Field(examples=["the wrong plan held"])


class CreditBody(Asked):
    """Money for a project, which its next invoices use up."""

    amount: Decimal = Field(examples=["10.00"])
    currency: str = Field("EUR", examples=["EUR"], pattern="^[A-Z]{3}$")
    reason: str = Field(examples=["for the outage of November 3"])


class Credit(Told):
    """What is left of a project's credits in one currency."""

    currency: str = Field(examples=["EUR"])
    amount: Decimal = Field(examples=["10.00"])


class Credits(Told):
    """What is left of a project's credits."""

    items: list[Credit]

    @classmethod
    def of(cls, left: dict[str, Decimal]) -> Credits:
        """As they are shown."""
        return cls(items=[Credit(currency=name, amount=amount) for name, amount in sorted(left.items())])


class AddressBody(Asked):
    """To whom invoices go: name and address, in lines."""

    address: str = Field(examples=["Ada Ltd\nMill Lane 2"])
