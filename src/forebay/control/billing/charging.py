"""What a project is charged for a month: its usage by model, version and key, under what held then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from forebay.control.billing.bills import Part
from forebay.control.billing.months import Month, ns_of
from forebay.control.billing.planbook import Terms
from forebay.control.billing.plans import part_of
from forebay.control.billing.rating import Group, Item, rate
from forebay.control.billing.summary import items_in
from forebay.control.billing.tables import InvoicedRow, InvoiceRow
from forebay.control.billing.use import COUNTS, Use


def by_line(of: Any) -> tuple[Any, ...]:
    """What a line of an invoice is about."""
    return (of.model, of.version, of.key_id)


def parts_of(
    session: Session,
    terms: Terms,
    project: str,
    month: Month,
    *,
    late: bool = False,
    afresh: bool = False,
) -> Iterator[Part]:
    """Each stretch of *month*, charged for what no invoice has yet; one without any may have a fee.

    With *late*, only what has come since the month was invoiced; *afresh*, as if there were no invoices.
    """
    billed = {} if afresh else _billed(session, project, month.name)
    for stretch in terms.stretches(month):
        before = billed.get(stretch.since, {})
        found = items_in(session, project, by_line, (ns_of(stretch.since), ns_of(stretch.until)))
        items = [
            Item(item.group, item.model, item.use - before.get(item.group, Use()))
            for item in found
            if item.use != before.get(item.group, Use())
        ]
        if late and not items:
            continue
        plan = part_of(stretch.said.plan, stretch.share)
        gone = [Item(group, group[0], use) for group, use in sorted(before.items()) if use != Use()]
        yield Part(month.name, stretch.said, plan, stretch.since, items, rate(plan, items, gone), late)


def closed_months(session: Session, project: str) -> list[str]:
    """The months of *project* that have a living invoice: one without a counter invoice."""
    alive = (
        select(InvoiceRow.month)
        .where(InvoiceRow.project == project)
        .group_by(InvoiceRow.month)
        .having(func.sum(case((InvoiceRow.counters.is_(None), 1), else_=-1)) > 0)
    )
    return sorted(session.scalars(alive))


def _billed(session: Session, project: str, month: str) -> dict[datetime, dict[Group, Use]]:
    """What invoices have of a month, by the beginning of the stretch, and by line."""
    columns = (InvoicedRow.since, InvoicedRow.model, InvoicedRow.version, InvoicedRow.key_id)
    sums = (func.sum(getattr(InvoicedRow, name)) for name in COUNTS)
    chosen = select(*columns, *sums).where(InvoicedRow.project == project, InvoicedRow.month == month)
    found: defaultdict[datetime, dict[Group, Use]] = defaultdict(dict)
    for since, model, version, key_id, *counts in session.execute(chosen.group_by(*columns)):
        found[since][model, version, key_id] = Use(*map(int, counts))
    return found
