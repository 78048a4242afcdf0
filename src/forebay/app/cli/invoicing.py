"""invoices."""

from __future__ import annotations

from pathlib import Path

import click

from forebay.app.cli import paper
from forebay.app.cli.bill_paper import show_bill
from forebay.app.cli.frame import Plural, Talk, talking
from forebay.client.bill_results import Invoice
from forebay.client.shown import Listing


@click.group(cls=Plural)
def invoices() -> None:
    """List, show and write invoices."""


@invoices.command("list")
@talking
def list_invoices(talk: Talk) -> None:
    """List the project's invoices."""
    found = talk.hub.invoices()
    talk.answer(found, lambda: _list(found))


@invoices.command("show")
@click.argument("number", type=int)
@click.option("--pdf", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file as PDF.")
@click.option("--csv", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file as CSV.")
@talking
def show_invoice(talk: Talk, number: int, pdf: Path | None, csv: Path | None) -> None:
    """Show the invoice NUMBER."""
    found = talk.hub.invoices.show(number)
    if pdf is not None:
        talk.hub.invoices.save(number, pdf, "pdf")
    if csv is not None:
        talk.hub.invoices.save(number, csv, "csv")
    talk.answer(found, lambda: show_bill(found))


@invoices.command("issue")
@click.argument("month")
@talking
def issue(talk: Talk, month: str) -> None:
    """Close MONTH, as in 2026-11, and write its invoice."""
    found = talk.hub.invoices.issue(month)
    talk.answer(found, lambda: _list(found, empty=f"Nothing is to be paid for {month}."))


@invoices.command("counter")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it stands on the counter invoice.")
@talking
def counter(talk: Talk, number: int, reason: str) -> None:
    """Take the invoice NUMBER back, by one with the opposite sign."""
    made = talk.hub.invoices.counter(number, reason)
    told = f"the invoice {made.number} takes {number} back; `forebay invoices issue {made.month}` writes anew"
    talk.answer(made, lambda: paper.line(told))


@invoices.command("credit")
@click.argument("amount")
@click.option("--currency", default="EUR", show_default=True, help="Of the invoices that use it up.")
@click.option("--reason", required=True, help="Why; it stays in the audit.")
@talking
def credit(talk: Talk, amount: str, currency: str, reason: str) -> None:
    """Give the project AMOUNT, which its next invoices use up."""
    left = talk.hub.invoices.credit(amount, reason, currency=currency)
    rows = [[each.currency, f"{each.amount:f}"] for each in left]
    talk.answer(left, lambda: paper.table(("Currency", "Left"), rows, empty="No credit is left."))


@invoices.command("address")
@click.argument("address")
@talking
def address(talk: Talk, address: str) -> None:
    """Send the next invoices to ADDRESS: name and address, with | between lines."""
    talk.hub.invoices.address(address.replace("|", "\n"))
    talk.answer({"address": address}, lambda: paper.line("the next invoices go there"))


def _list(found: Listing[Invoice], empty: str = "There is no invoice.") -> None:
    rows = [
        [one.number, one.month, f"{one.net:f}", f"{one.total:f}", one.currency, one.issued_at, _state(one)]
        for one in found
    ]
    paper.table(("Number", "Month", "Net", "Total", "Currency", "Issued", "State"), rows, empty=empty)


def _state(one: Invoice) -> str:
    if one.counters is not None:
        return f"takes {one.counters} back"
    return f"taken back by {one.countered_by}" if one.countered_by is not None else ""
