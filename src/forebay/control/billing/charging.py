"""What a project is charged for a month: its usage by model, version and key, under what held then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from forebay.control.billing.bills import Part
from forebay.control.billing.months import Month, ns_of
from forebay.control.billing.planbook import Terms
from forebay.control.billing.plans import part_of
from forebay.control.billing.rating import rate
from forebay.control.billing.summary import items_in


def by_line(of: Any) -> tuple[Any, ...]:
    """What a line of an invoice is about."""
    return (of.model, of.version, of.key_id)


def parts_of(session: Session, terms: Terms, project: str, month: Month) -> Iterator[Part]:
    """Each stretch of *month*, charged; one in which nothing was used may have a fee."""
    for stretch in terms.stretches(month):
        items = items_in(session, project, by_line, (ns_of(stretch.since), ns_of(stretch.until)))
        plan = part_of(stretch.said.plan, stretch.share)
        yield Part(month.name, stretch.said, plan, rate(plan, items))
