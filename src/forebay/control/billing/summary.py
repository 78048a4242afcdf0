"""Usage added up, and priced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from forebay.control.billing.blocks import events_in
from forebay.control.billing.money import rounded
from forebay.control.billing.months import Month, Span, moment_of, ns_of
from forebay.control.billing.planbook import Stretch, Terms
from forebay.control.billing.plans import Plan, part_of
from forebay.control.billing.rating import Charge, Item, rate, summed
from forebay.control.billing.tables import BlockRow, PlaceRow, TotalRow
from forebay.control.billing.tally import NS_PER_HOUR, SUMS, Tally, add_up, between
from forebay.control.billing.tidying import LAST_NS
from forebay.control.billing.use import Use, together

_END_NS = (LAST_NS // NS_PER_HOUR + 1) * NS_PER_HOUR
_DAY_ONE = date(1970, 1, 1).toordinal()
_HOURS = 24
Grouper: TypeAlias = Callable[[Any], tuple[Any, ...]]
"""Of a `Key`: which group it is in. Of `TotalRow`: by which of its columns the database groups."""


class Grouping(StrEnum):
    """By what usage may be added up."""

    MODEL = "model"
    KEY = "key"
    VERSION = "version"
    DAY = "day"


_GROUPS: dict[Grouping, Grouper] = {
    Grouping.MODEL: lambda of: (of.model,),
    Grouping.KEY: lambda of: (of.key_id,),
    Grouping.VERSION: lambda of: (of.model, of.version),
    Grouping.DAY: lambda of: (of.hour // _HOURS,),
}


@dataclass(frozen=True, slots=True)
class Line:
    """The usage of one group, and its exact cost."""

    group: str
    use: Use
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Sum:
    """What usage costs in one currency: exactly, and as it is to be paid."""

    currency: str
    cost: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """Usage by group, whose costs add up to `cost` exactly; `plan` is the last one that held.

    The costs are those of usage alone: no fee, discount or tax. Where plans of several currencies held,
    the lines are in that of `plan` alone, and `others` says what was to be paid in the others.
    """

    plan: Plan
    lines: tuple[Line, ...]
    total: Use
    cost: Decimal
    amount: Decimal
    others: tuple[Sum, ...] = ()


class Rated(NamedTuple):
    """What was used in a stretch, and what that costs."""

    stretch: Stretch
    items: list[Item]
    charges: list[Charge]


def summarise(
    session: Session,
    terms: Terms,
    zone: ZoneInfo,
    project: str,
    by: Grouping,
    since: datetime | None,
    until: datetime | None,
) -> Summary:
    """The usage of *project* from *since* up to before *until*, by what the nodes' clocks said.

    What a month includes, and its tiers, count from the month's first moment on, whenever the period begins.
    """
    window = (0 if since is None else ns_of(since), _END_NS if until is None else ns_of(until))
    uses: dict[tuple[Any, ...], Use] = {}
    costs: dict[str, dict[tuple[Any, ...], Decimal]] = {}
    plan = terms.at(moment_of(max(0, min(window[1], LAST_NS) - 1))).plan
    for rated in rated_in(session, terms, zone, project, _GROUPS[by], window):
        plan = rated.stretch.said.plan
        for item in rated.items:
            uses[item.group] = uses.get(item.group, Use()) + item.use
        found = costs.setdefault(plan.currency, {})
        for charge in rated.charges:
            found[charge.group] = summed((found.get(charge.group, Decimal(0)), charge.cost))
    own = costs.pop(plan.currency, {})
    lines = tuple(
        Line(_name(by, group), use, own.get(group, Decimal(0))) for group, use in sorted(uses.items())
    )
    price = summed(own.values())
    others = tuple(_sum(currency, found, plan.decimals) for currency, found in sorted(costs.items()))
    return Summary(plan, lines, together(uses.values()), price, rounded(price, plan.decimals), others)


def _sum(currency: str, found: dict[tuple[Any, ...], Decimal], decimals: int) -> Sum:
    price = summed(found.values())
    return Sum(currency, price, rounded(price, decimals))


def rated_in(
    session: Session, terms: Terms, zone: ZoneInfo, project: str, groups: Grouper, window: Span
) -> Iterator[Rated]:
    """The usage in *window*, rated stretch by stretch; those in which nothing was used are left out."""
    for month in months_of(session, project, zone, window):
        for stretch in terms.stretches(month):
            since, until = ns_of(stretch.since), ns_of(stretch.until)
            inside = (max(since, window[0]), min(until, window[1]))
            items = items_in(session, project, groups, inside)
            if items:
                before = items_in(session, project, groups, (since, inside[0]))
                plan = part_of(stretch.said.plan, stretch.share)
                yield Rated(stretch, items, rate(plan, items, before))


def months_of(session: Session, project: str, zone: ZoneInfo, window: Span) -> list[Month]:
    """The months of *zone* that may have usage of *project* in *window*."""
    (first, end), _ = cut(*window)
    day = TotalRow.hour // _HOURS
    found = (
        select(day)
        .distinct()
        .where(TotalRow.project == project, TotalRow.hour >= first - 1, TotalRow.hour <= end)
    )
    months = set()
    for number in session.scalars(found):
        start_ns = int(number) * _HOURS * NS_PER_HOUR
        months |= {Month.of(moment_of(start_ns + hour * NS_PER_HOUR), zone) for hour in (0, _HOURS)}
    return sorted(months, key=lambda month: (month.year, month.month))


def items_in(session: Session, project: str, groups: Grouper, span: Span) -> list[Item]:
    """What was used in *span*, in the order of the groups.

    Whole hours come from the totals; of an hour that is cut, the events are read, block by block.
    """
    if span[0] >= span[1]:
        return []
    hours, edges = cut(*span)

    def with_model(of: Any) -> tuple[Any, ...]:
        return (*groups(of), of.model)

    uses = dict(_totals(session, project, with_model, hours))
    for edge in edges:
        for tally in _tallies(session, project, edge):
            for key, use in tally.items():
                group = with_model(key)
                uses[group] = uses.get(group, Use()) + use
    return [Item(group[:-1], group[-1], use) for group, use in sorted(uses.items())]


def cut(since_ns: int, until_ns: int) -> tuple[Span, list[Span]]:
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
    session: Session, project: str, groups: Grouper, hours: Span
) -> Iterator[tuple[tuple[Any, ...], Use]]:
    columns = groups(TotalRow)
    sums = (func.sum(getattr(TotalRow, name)) for name in ("requests", *SUMS))
    chosen = select(*columns, *sums).where(
        TotalRow.project == project, TotalRow.hour >= hours[0], TotalRow.hour < hours[1]
    )
    for row in session.execute(chosen.group_by(*columns)):
        yield tuple(row[: len(columns)]), Use(*(int(number) for number in row[len(columns) :]))


def _tallies(session: Session, project: str, edge: Span) -> Iterator[Tally]:
    hour = edge[0] // NS_PER_HOUR
    found = select(PlaceRow.block).where(PlaceRow.project == project, PlaceRow.hour == hour)
    for number in session.scalars(found).all():
        events = between(events_in(session.get_one(BlockRow, number)), *edge)
        yield add_up([event for event in events if event.project == project])


def _name(by: Grouping, group: tuple[Any, ...]) -> str:
    if by is Grouping.DAY:
        return date.fromordinal(_DAY_ONE + group[0]).isoformat()
    return ":".join(str(part) for part in group)
