"""Bills, as people read them."""

from __future__ import annotations

from collections.abc import Iterable

from forebay.app.cli import paper
from forebay.client.bill_results import Bill, BillLine


def show_bills(found: Iterable[Bill]) -> None:
    """Each with its lines, its taxes and what is to be paid."""
    shown = list(found)
    if not shown:
        paper.table((), [], empty="There is nothing to pay.")
    for bill in shown:
        show_bill(bill)


def show_bill(bill: Bill) -> None:
    """The lines, the taxes, and what is to be paid."""
    rows = [_row(line) for line in bill.lines]
    rows.append(["net", "", "", "", "", "", f"{bill.net:f}"])
    rows += [[f"{tax.name} {tax.share * 100:f}%", *[""] * 5, f"{tax.amount:f}"] for tax in bill.taxes]
    rows.append(["total", "", "", "", "", "", f"{bill.total:f}"])
    names = ("Line", "Month", "Of", "Key", "Quantity", "Price", bill.currency)
    paper.table(names, rows, empty="Nothing is to be paid.")


def _row(line: BillLine) -> list[object]:
    of = f"{line.model}:{line.version}" if line.model else line.plan
    what = f"{line.kind} {line.unit}".strip() + (f" ({line.text})" if line.text else "")
    quantity = f"{line.quantity:f}" if line.quantity else ""
    price = f"{line.price:f}" if line.unit else ""
    return [what, line.month, of, line.key_id, quantity, price, f"{line.cost:f}"]
