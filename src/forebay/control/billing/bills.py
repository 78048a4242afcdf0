"""What a month comes to: usage, fee, discount, minimum, credit and taxes. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from forebay.control.billing.money import EXACT, rounded
from forebay.control.billing.planbook import PlanVersion
from forebay.control.billing.plans import Plan
from forebay.control.billing.rating import Charge, Item, summed

_NONE = Decimal(0)


class Kind(StrEnum):
    """What a line of a bill is."""

    USAGE = "usage"
    LATE = "late"
    FEE = "fee"
    DISCOUNT = "discount"
    MINIMUM = "minimum"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line: `cost` is exact, `amount` what goes into the sum (rounded if the plan says that lines are).

    `month` is that in which it was used: an earlier one for a line that is `late`.
    """

    kind: Kind
    month: str
    plan: str
    cost: Decimal
    amount: Decimal
    model: str = ""
    version: int = 0
    key_id: str = ""
    unit: str = ""
    quantity: Decimal = _NONE
    price: Decimal = _NONE
    text: str = ""


@dataclass(frozen=True, slots=True)
class TaxLine:
    """A tax: `share` of the net amount."""

    name: str
    share: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Bill:
    """A month in one currency. `net` is the sum of the lines, rounded once; `total` is it with taxes."""

    currency: str
    decimals: int
    lines: tuple[BillLine, ...]
    net: Decimal
    taxes: tuple[TaxLine, ...]
    total: Decimal


class Part(NamedTuple):
    """What a stretch of a month was charged, under the part of its plan that holds for it.

    The groups of the charges are (model, version, key's id). A *late* part has neither fee nor minimum:
    its month was billed already.
    """

    month: str
    said: PlanVersion
    plan: Plan
    since: datetime
    items: Sequence[Item]
    charges: Sequence[Charge]
    late: bool = False


def bills(parts: Iterable[Part], credit: dict[str, Decimal] | None = None) -> list[Bill]:
    """A bill for each currency that the parts are in; *credit*, by currency, is used up as far as can be."""
    found: defaultdict[str, list[Part]] = defaultdict(list)
    for part in parts:
        found[part.plan.currency].append(part)
    return [
        made
        for currency, own in sorted(found.items())
        if (made := _bill(own, (credit or {}).get(currency, _NONE))).lines
    ]


def _bill(parts: list[Part], credit: Decimal) -> Bill:
    plan = parts[-1].plan
    lines = [line for part in parts for line in _lines(part)]
    net = rounded(summed(line.amount for line in lines), plan.decimals)
    if credit and net > 0:
        used = min(credit, net)
        lines.append(BillLine(Kind.CREDIT, parts[-1].month, plan.name, -used, -used))
        net = rounded(EXACT.subtract(net, used), plan.decimals)
    taxes = tuple(
        TaxLine(tax.name, tax.share, rounded(EXACT.multiply(net, tax.share), plan.decimals))
        for tax in plan.taxes
    )
    total = rounded(summed((net, *(tax.amount for tax in taxes))), plan.decimals)
    return Bill(plan.currency, plan.decimals, tuple(lines), net, taxes, total)


def _lines(part: Part) -> Iterator[BillLine]:
    plan, start = part.plan, BillLine(Kind.USAGE, part.month, _named(part.said), _NONE, _NONE)
    used = [_usage(part, charge, start) for charge in part.charges]
    yield from used
    cost = summed(line.cost for line in used)
    if plan.discount and cost:
        off = EXACT.multiply(EXACT.minus(cost), plan.discount)
        discount = _money(plan, replace(start, kind=Kind.DISCOUNT, quantity=plan.discount), off)
        used.append(discount)
        yield discount
    if part.late:
        return
    if plan.fee:
        fee = _money(plan, replace(start, kind=Kind.FEE), plan.fee)
        used.append(fee)
        yield fee
    missing = EXACT.subtract(plan.minimum, summed(line.amount for line in used))
    if missing > 0:
        yield _money(plan, replace(start, kind=Kind.MINIMUM), missing)


def _usage(part: Part, charge: Charge, start: BillLine) -> BillLine:
    model, version, key_id = charge.group
    line = replace(
        start,
        kind=Kind.LATE if part.late else Kind.USAGE,
        model=model,
        version=version,
        key_id=key_id,
        unit=charge.unit.value,
        quantity=charge.quantity,
        price=charge.price,
        text="included" if charge.included else "",
    )
    return _money(part.plan, line, charge.cost)


def _money(plan: Plan, line: BillLine, cost: Decimal) -> BillLine:
    return replace(line, cost=cost, amount=rounded(cost, plan.decimals) if plan.round_lines else cost)


def _named(said: PlanVersion) -> str:
    return f"{said.plan.name}:{said.version}"
