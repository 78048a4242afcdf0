"""What usage costs under a plan: pure functions over exact decimals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from forebay.control.billing.money import EXACT, plain
from forebay.control.billing.plans import Plan, Price, Tier, Unit, quantity
from forebay.control.billing.use import Use

Group: TypeAlias = tuple[Any, ...]
_NONE = Decimal(0)


class Item(NamedTuple):
    """Usage of one *model*, under whatever label."""

    group: Group
    model: str
    use: Use


@dataclass(frozen=True, slots=True)
class Charge:
    """So much of a unit at one price: `cost` is exactly `quantity` times `price`."""

    group: Group
    unit: Unit
    quantity: Decimal
    price: Decimal
    included: bool = False

    @property
    def cost(self) -> Decimal:
        """What it costs, exactly."""
        return plain(EXACT.multiply(self.quantity, self.price))


def rate(plan: Plan, items: Sequence[Item], before: Sequence[Item] = ()) -> list[Charge]:
    """What *items* cost in a month of *plan* in which *before* was used already.

    What is included, and tiers, are used up in the order of the items; so the charges of parts add up
    to those of the whole. All of it is exact.
    """
    meters: dict[Price, _Meter] = {}
    left = dict(plan.included)
    pieces = []
    for place, item in enumerate((*before, *items)):
        for price in plan.prices_of(item.model):
            meter = meters.setdefault(price, _Meter(price))
            asked = quantity(plan, price.unit, item.use)
            free = min(asked, left.get(price.unit, _NONE))
            left[price.unit] = EXACT.subtract(left.get(price.unit, _NONE), free)
            paid = EXACT.subtract(asked, free)
            start, meter.used = meter.used, EXACT.add(meter.used, paid)
            if place >= len(before):
                pieces.append((item.group, meter, free, start, paid))
    return [
        charge
        for group, meter, free, start, paid in pieces
        for charge in meter.charges(group, free, start, paid)
    ]


@dataclass(slots=True)
class _Meter:
    """How much of one price a month has used."""

    price: Price
    used: Decimal = field(default=_NONE)

    def charges(self, group: Group, free: Decimal, start: Decimal, paid: Decimal) -> Iterator[Charge]:
        """The charges of a piece: *free* of it included, *paid* of it from *start* on."""
        unit = self.price.unit
        if free:
            yield Charge(group, unit, plain(free), _NONE, included=True)
        if self.price.volume:
            if paid:
                yield Charge(group, unit, plain(paid), self._tier(self.used).price)
            return
        end = EXACT.add(start, paid)
        for tier in self.price.tiers:
            stop = end if tier.up_to is None else min(end, tier.up_to)
            if stop > start:
                yield Charge(group, unit, plain(EXACT.subtract(stop, start)), tier.price)
                start = stop

    def _tier(self, used: Decimal) -> Tier:
        """The tier that a whole quantity falls in."""
        tiers = self.price.tiers
        return next((tier for tier in tiers if tier.up_to is None or used <= tier.up_to), tiers[-1])


def cost(plan: Plan, use: Use, model: str = "") -> Decimal:
    """What *use* of one model costs, exactly, if it is all that a month has.

    >>> from forebay.control.billing.plans import DEFAULT_PLAN
    >>> cost(DEFAULT_PLAN, Use(requests=3, rows=40, compute_ns=250_000_000))
    Decimal('0.00075')
    """
    return summed(charge.cost for charge in rate(plan, [Item((), model, use)]))


def summed(amounts: Iterable[Decimal]) -> Decimal:
    """Their sum, exactly."""
    total = _NONE
    for amount in amounts:
        total = EXACT.add(total, amount)
    return plain(total)
