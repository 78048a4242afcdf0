"""Usage added up, and priced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from forebay.control.billing.rating import Plan, Use, amount, cost, together
from forebay.control.billing.tables import UsageRow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Grouping(StrEnum):
    """By what usage may be added up."""

    MODEL = "model"
    KEY = "key"
    VERSION = "version"
    DAY = "day"


_COLUMNS: dict[Grouping, tuple[InstrumentedAttribute[Any], ...]] = {
    Grouping.MODEL: (UsageRow.model,),
    Grouping.KEY: (UsageRow.key_id,),
    Grouping.VERSION: (UsageRow.model, UsageRow.version),
    Grouping.DAY: (UsageRow.day,),
}


@dataclass(frozen=True, slots=True)
class Line:
    """The usage of one group, and its exact cost."""

    group: str
    use: Use
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """Usage by group; the lines add up to `total` and `cost` exactly; `amount` is what is to be paid."""

    plan: Plan
    lines: tuple[Line, ...]
    total: Use
    cost: Decimal
    amount: Decimal


def summarise(
    session: Session, plan: Plan, project: str, by: Grouping, since: datetime | None, until: datetime | None
) -> Summary:
    """The usage of *project* from *since* up to before *until*, by what the nodes' clocks said."""
    columns = _COLUMNS[by]
    uses = [
        (
            ":".join(str(part) for part in row[: len(columns)]),
            Use(*(int(part) for part in row[len(columns) :])),
        )
        for row in session.execute(_added_up(columns, _within(project, since, until)))
    ]
    lines = tuple(Line(group, use, cost(plan, use)) for group, use in uses)
    total = together(use for _, use in uses)
    price = cost(plan, total)
    return Summary(plan, lines, total, price, amount(plan, price))


def _added_up(
    columns: tuple[InstrumentedAttribute[Any], ...], conditions: list[ColumnElement[bool]]
) -> Select[*tuple[Any, ...]]:
    sums = (UsageRow.rows, UsageRow.request_bytes, UsageRow.response_bytes, UsageRow.compute_ns)
    chosen = select(*columns, func.count(), *(func.sum(column) for column in sums))
    return chosen.where(*conditions).group_by(*columns)


def _within(project: str, since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [UsageRow.project == project]
    if since is not None:
        conditions.append(UsageRow.time_ns >= _ns(since))
    if until is not None:
        conditions.append(UsageRow.time_ns < _ns(until))
    return conditions


def _ns(moment: datetime) -> int:
    since_epoch = (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment) - _EPOCH
    return since_epoch // timedelta(microseconds=1) * 1000
