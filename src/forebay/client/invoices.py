"""Invoices: months that are closed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal

from forebay.client.bill_results import Credit, Invoice
from forebay.client.door import Door
from forebay.client.pricing import number_text
from forebay.client.results import Items
from forebay.client.shown import Listing


class InvoicesOf:
    """`hub.invoices`: the invoices of one project."""

    def __init__(self, door: Door, project: str) -> None:
        self._door = door
        self._project = f"/api/v1/projects/{project}"
        self._address = f"{self._project}/invoices"

    def __call__(self) -> Listing[Invoice]:
        """Every invoice, by number."""
        return Listing(self._door.ask("GET", self._address, Items[Invoice]).items)

    def show(self, number: int) -> Invoice:
        """One invoice; raises `NotFound`."""
        return self._door.ask("GET", f"{self._address}/{number}", Invoice)

    def save(self, number: int, file: Path | str, form: Literal["pdf", "csv"] | None = None) -> Path:
        """Write an invoice to *file* in *form*: else as CSV if its name ends so, and as PDF otherwise."""
        path = Path(file)
        form = form or ("csv" if path.suffix.lower() == ".csv" else "pdf")
        path.write_bytes(self._door.send("GET", f"{self._address}/{number}/{form}").content)
        return path

    def issue(self, month: str) -> Listing[Invoice]:
        """Close *month*, as `2026-11`; none if there is nothing to pay. Raises `Conflict`."""
        return Listing(self._door.ask("POST", self._address, Items[Invoice], json={"month": month}).items)

    def counter(self, number: int, reason: str) -> Invoice:
        """Take an invoice back, by one with the opposite sign; its usage is to be invoiced again."""
        return self._door.ask("POST", f"{self._address}/{number}/counter", Invoice, json={"reason": reason})

    def credit(self, amount: str | int | Decimal, reason: str, *, currency: str = "EUR") -> Listing[Credit]:
        """Give the project money, which its next invoices use up; what is left of it."""
        body = {"amount": number_text(amount), "currency": currency, "reason": reason}
        return Listing(self._door.ask("POST", f"{self._project}/credits", Items[Credit], json=body).items)

    def credits(self) -> Listing[Credit]:
        """What is left of the project's credits."""
        return Listing(self._door.ask("GET", f"{self._project}/credits", Items[Credit]).items)

    def address(self, address: str) -> None:
        """To whom the next invoices go: name and address, in lines."""
        self._door.send("PUT", f"{self._project}/billing-address", json={"address": address})
