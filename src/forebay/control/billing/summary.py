"""Usage added up, and priced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from forebay.control.billing.blocks import events_in
from forebay.control.billing.rating import Plan, Use, amount, cost, together
from forebay.control.billing.tables import BlockRow, PlaceRow, TotalRow
from forebay.control.billing.tally import NS_PER_HOUR, SUMS, Tally, add_up, between
from forebay.control.billing.tidying import LAST_NS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END_NS = (LAST_NS // NS_PER_HOUR + 1) * NS_PER_HOUR
_DAY_ONE = date(1970, 1, 1).toordinal()
_HOURS = 24
_Span: TypeAlias = tuple[int, int]
"""From the first up to before the second."""


class Grouping(StrEnum):
    """By what usage may be added up."""

    MODEL = "model"
    KEY = "key"
    VERSION = "version"
    DAY = "day"


_GROUPS: dict[Grouping, Callable[[Any], tuple[Any, ...]]] = {
    Grouping.MODEL: lambda of: (of.model,),
    Grouping.KEY: lambda of: (of.key_id,),
    Grouping.VERSION: lambda of: (of.model, of.version),
    Grouping.DAY: lambda of: (of.hour // _HOURS,),
}
"""Which group a `Key` is in; of the columns of `TotalRow`, by which ones the database groups."""


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
    """The usage of *project* from *since* up to before *until*, by what the nodes' clocks said.

    Whole hours come from the totals; of an hour that is cut, the events are read, block by block.
    """
    hours, edges = cut(0 if since is None else _ns(since), _END_NS if until is None else _ns(until))
    uses = dict(_totals(session, project, _GROUPS[by], hours))
    for edge in edges:
        for tally in _tallies(session, project, edge):
            for key, use in tally.items():
                group = _GROUPS[by](key)
                uses[group] = uses.get(group, Use()) + use
    lines = tuple(Line(_name(by, group), use, cost(plan, use)) for group, use in sorted(uses.items()))
    total = together(uses.values())
    price = cost(plan, total)
    return Summary(plan, lines, total, price, amount(plan, price))


def cut(since_ns: int, until_ns: int) -> tuple[_Span, list[_Span]]:
    """The whole hours of a span, and its pieces of hours that are not whole.

    >>> cut(0, 2 * NS_PER_HOUR + 5)
    ((0, 2), [(7200000000000, 7200000000005)])
    >>> cut(3, 9)
    ((1, 1), [(3, 9)])
    """
    since_ns, until_ns = max(since_ns, 0), min(until_ns, _END_NS)
    first, end = -(-since_ns // NS_PER_HOUR), until_ns // NS_PER_HOUR
    if first > end:
        edges = [(since_ns, until_ns)]
    else:
        edges = [(since_ns, first * NS_PER_HOUR), (end * NS_PER_HOUR, until_ns)]
    return (first, max(first, end)), [(start, stop) for start, stop in edges if start < stop]


def _totals(
    session: Session, project: str, groups: Callable[[Any], tuple[Any, ...]], hours: _Span
) -> Iterator[tuple[tuple[Any, ...], Use]]:
    columns = groups(TotalRow)
    sums = (func.sum(getattr(TotalRow, name)) for name in ("requests", *SUMS))
    chosen = select(*columns, *sums).where(
        TotalRow.project == project, TotalRow.hour >= hours[0], TotalRow.hour < hours[1]
    )
    for row in session.execute(chosen.group_by(*columns)):
        yield tuple(row[: len(columns)]), Use(*(int(number) for number in row[len(columns) :]))


def _tallies(session: Session, project: str, edge: _Span) -> Iterator[Tally]:
    hour = edge[0] // NS_PER_HOUR
    found = select(PlaceRow.block).where(PlaceRow.project == project, PlaceRow.hour == hour)
    for number in session.scalars(found).all():
        events = between(events_in(session.get_one(BlockRow, number)), *edge)
        yield add_up([event for event in events if event.project == project])


def _name(by: Grouping, group: tuple[Any, ...]) -> str:
    if by is Grouping.DAY:
        return date.fromordinal(_DAY_ONE + group[0]).isoformat()
    return ":".join(str(part) for part in group)


def _ns(moment: datetime) -> int:
    since_epoch = (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment) - _EPOCH
    return since_epoch // timedelta(microseconds=1) * 1000
