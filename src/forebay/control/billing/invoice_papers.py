"""An invoice as a table and as a page."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

from forebay.control.billing.bills import BillLine, Kind
from forebay.control.billing.invoices import Invoice
from forebay.control.billing.money import EXACT, plain
from forebay.core.errors import Malformed
from forebay.core.extras import need

_CELLS = (
    "kind",
    "month",
    "plan",
    "model",
    "version",
    "key_id",
    "unit",
    "quantity",
    "price",
    "cost",
    "text",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_INK, _GREY, _RULE = "#1b2a33", "#5c6b75", "#c9d2d8"
_WORDS = {
    Kind.FEE: "Subscription",
    Kind.DISCOUNT: "Discount",
    Kind.MINIMUM: "Up to the monthly minimum",
    Kind.CREDIT: "Credit",
}


def invoice_csv(invoice: Invoice) -> str:
    """Its lines, then net amount, taxes and total, one a row."""
    out = StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(("invoice", "currency", *_CELLS))
    start = (invoice.number, invoice.currency)
    for line in invoice.lines:
        rows.writerow((*start, *(_cell(getattr(line, name)) for name in _CELLS)))
    for kind, text, amount in _sums(invoice):
        rows.writerow((*start, kind, invoice.month, *[""] * 7, _cell(amount), _cell(text)))
    return out.getvalue()


def invoice_pdf(invoice: Invoice) -> bytes:
    """A document to send; raises `Unsupported` without the extra `pdf`, `Malformed` for letters it lacks."""
    platypus = need("reportlab.platypus", "pdf")
    out = BytesIO()
    page = platypus.SimpleDocTemplate(
        out,
        pagesize=need("reportlab.lib.pagesizes", "pdf").A4,
        leftMargin=56,
        rightMargin=56,
        topMargin=56,
        bottomMargin=64,
        title=_title(invoice),
        author=invoice.sender.split("\n")[0],
        invariant=True,
    )
    page.build(list(_story(platypus, invoice)), onFirstPage=_foot(invoice), onLaterPages=_foot(invoice))
    return out.getvalue()


def _story(platypus: Any, invoice: Invoice) -> Iterator[Any]:
    yield _head(platypus, invoice)
    yield platypus.Spacer(1, 26)
    title = platypus.Paragraph(_title(invoice), _style(20, bold=True))
    about = platypus.Paragraph(_escaped(_about(invoice)), _style(9.5, grey=True))
    yield platypus.Table([[title], [about]], colWidths=(483,), style=[("LEFTPADDING", (0, 0), (-1, -1), 0)])
    yield platypus.Spacer(1, 18)
    yield _table(platypus, invoice)
    yield platypus.Spacer(1, 10)
    yield platypus.KeepTogether([_totals(platypus, invoice)])


def _head(platypus: Any, invoice: Invoice) -> Any:
    to = platypus.Paragraph(_breaks(invoice.recipient), _style(10.5))
    facts = [
        ("Invoice", str(invoice.number)),
        ("Date", f"{invoice.issued_at:%Y-%m-%d}"),
        ("Project", invoice.project),
        ("Month", invoice.month),
    ]
    right = platypus.Table(
        [[_grey(platypus, name), platypus.Paragraph(_escaped(value), _style(9.5))] for name, value in facts],
        colWidths=(60, 110),
        style=[("BOTTOMPADDING", (0, 0), (-1, -1), 1), ("TOPPADDING", (0, 0), (-1, -1), 1)],
    )
    sender = platypus.Paragraph(_breaks(invoice.sender), _style(9, grey=True))
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("TOPPADDING", (0, 1), (0, 1), 26),
    ]
    return platypus.Table([[sender, ""], [to, right]], colWidths=(305, 178), style=style)


def _table(platypus: Any, invoice: Invoice) -> Any:
    names = ("Description", "Quantity", "Unit price", f"Amount {invoice.currency}")
    head = [platypus.Paragraph(name, _style(8.5, bold=True, right=at > 0)) for at, name in enumerate(names)]
    rows = [[_described(platypus, line, invoice.month), *_figures(platypus, line)] for line in invoice.lines]
    style = [
        ("LINEBELOW", (0, 0), (-1, 0), 1, _INK),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, _RULE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
    ]
    return platypus.Table([head, *rows], colWidths=(243, 80, 80, 80), repeatRows=1, style=style)


def _described(platypus: Any, line: BillLine, month: str) -> Any:
    if not line.unit:
        share = f" {_percent(line.quantity)}" if line.kind is Kind.DISCOUNT else ""
        return platypus.Paragraph(
            f"{_WORDS[line.kind]}{share}<br/>{_small(f'plan {line.plan}')}", _style(9.5)
        )
    included = ", included" if line.text else ""
    late = f", used in {line.month}" if line.month != month else ""
    about = f"{line.unit.replace('_', ' ')}s{included}{late} · key {line.key_id} · plan {line.plan}"
    return platypus.Paragraph(
        f"{_escaped(line.model)}, version {line.version}<br/>{_small(about)}", _style(9.5)
    )


def _figures(platypus: Any, line: BillLine) -> list[Any]:
    quantity = f"{line.quantity:,f}" if line.unit else ""
    price = f"{line.price:f}" if line.unit else ""
    shown = (quantity, price, f"{line.cost:,f}")
    return [platypus.Paragraph(text, _style(9.5, right=True)) for text in shown]


def _totals(platypus: Any, invoice: Invoice) -> Any:
    rows = []
    for kind, text, amount in _sums(invoice):
        style = _style(10.5, bold=kind == "total", right=True)
        shown = f"{amount:,f} {invoice.currency}"
        rows.append([platypus.Paragraph(_escaped(text), style), platypus.Paragraph(shown, style)])
    lines = [("LINEABOVE", (0, -1), (-1, -1), 1, _INK), ("RIGHTPADDING", (-1, 0), (-1, -1), 0)]
    return platypus.Table(rows, colWidths=(170, 110), hAlign="RIGHT", style=lines)


def _foot(invoice: Invoice) -> Any:
    def draw(canvas: Any, page: Any) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(_GREY)
        canvas.drawString(56, 36, f"{_title(invoice)} · {invoice.project} · {invoice.month}")
        canvas.drawRightString(page.pagesize[0] - 56, 36, f"Page {canvas.getPageNumber()}")

    return draw


def _sums(invoice: Invoice) -> Iterator[tuple[str, str, Decimal]]:
    yield "net", "Net", invoice.net
    for tax in invoice.taxes:
        yield "tax", f"{tax.name} {_percent(tax.share)}", tax.amount
    yield "total", "Total", invoice.total


def _title(invoice: Invoice) -> str:
    return f"{'Invoice' if invoice.counters is None else 'Counter invoice'} {invoice.number}"


def _about(invoice: Invoice) -> str:
    period = f"Period {invoice.period_start:%Y-%m-%d %H:%M} to {invoice.period_end:%Y-%m-%d %H:%M} UTC."
    if invoice.counters is None:
        return period
    return f"Takes the invoice {invoice.counters} back: {invoice.reason}. {period}"


def _style(size: float, *, bold: bool = False, grey: bool = False, right: bool = False) -> Any:
    styles = need("reportlab.lib.styles", "pdf")
    return styles.ParagraphStyle(
        "text",
        fontName="Helvetica-Bold" if bold else "Helvetica",
        fontSize=size,
        leading=size * 1.35,
        textColor=_GREY if grey else _INK,
        alignment=2 if right else 0,
    )


def _grey(platypus: Any, text: str) -> Any:
    return platypus.Paragraph(text, _style(9.5, grey=True))


def _small(text: str) -> str:
    return f'<font size="8" color="{_GREY}">{_escaped(text)}</font>'


def _breaks(text: str) -> str:
    return "<br/>".join(_escaped(line) for line in text.split("\n"))


def _escaped(text: str) -> str:
    """*text* as a paragraph takes it; raises `Malformed` for letters that the page's font has not."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError as error:
        letter = text[error.start]
        raise Malformed(
            f"the letter {letter!r} is not in the font of the PDF; write it otherwise, or take JSON or CSV"
        ) from None
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _percent(share: Decimal) -> str:
    return f"{plain(EXACT.scaleb(share, 2)):f} %"


def _cell(value: object) -> object:
    """A number as it is; a text that a spreadsheet would compute gets an apostrophe before it.

    >>> [_cell(value) for value in (Decimal("-1.50"), "VAT 19 %", "=1+1")]
    ['-1.50', 'VAT 19 %', "'=1+1"]
    """
    if isinstance(value, Decimal):
        return f"{value:f}"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
