"""What a plan says: prices by unit and model, and what a month of it costs by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

import msgspec

from forebay.control.billing.money import EXACT, coins, plain
from forebay.control.billing.use import Use
from forebay.core.errors import Malformed
from forebay.core.names import checked_name

_CURRENCY = re.compile(r"[A-Z]{3}")
_MOST = Decimal(10) ** 15
_PLACES = 15
_DECIMALS = 6


class Unit(StrEnum):
    """What can have a price. `token` counts those that came in and those that went out, `byte` likewise."""

    REQUEST = "request"
    ROW = "row"
    TOKEN = "token"  # noqa: S105 (of a text)
    INPUT_TOKEN = "input_token"  # noqa: S105 (see above)
    OUTPUT_TOKEN = "output_token"  # noqa: S105 (see above)
    AUDIO_SECOND = "audio_second"
    COMPUTE_SECOND = "compute_second"
    BYTE = "byte"
    REQUEST_BYTE = "request_byte"
    RESPONSE_BYTE = "response_byte"
    JOULE = "joule"


_COUNTED: dict[Unit, tuple[tuple[str, ...], int]] = {
    Unit.REQUEST: (("requests",), 0),
    Unit.ROW: (("rows",), 0),
    Unit.TOKEN: (("input_tokens", "output_tokens"), 0),
    Unit.INPUT_TOKEN: (("input_tokens",), 0),
    Unit.OUTPUT_TOKEN: (("output_tokens",), 0),
    Unit.AUDIO_SECOND: (("audio_ms",), 3),
    Unit.COMPUTE_SECOND: (("compute_ns",), 9),
    Unit.BYTE: (("request_bytes", "response_bytes"), 0),
    Unit.REQUEST_BYTE: (("request_bytes",), 0),
    Unit.RESPONSE_BYTE: (("response_bytes",), 0),
    Unit.JOULE: (("energy_uj",), 6),
}
"""Which counts of `Use` make a unit, and how many decimal places they are smaller."""
_CACHED = {Unit.REQUEST: "cached", Unit.ROW: "cached_rows"}


class Tier(msgspec.Struct, frozen=True, omit_defaults=True):
    """A price that holds up to the quantity `up_to` of a month; the last tier has no end."""

    price: Decimal
    up_to: Decimal | None = None


class Price(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a unit of one model costs (of every model without a price of its own, if `model` is empty).

    With several tiers each part of a month's quantity costs what its own tier says; with `volume` all of it
    costs what the tier says that the whole quantity falls in.
    """

    unit: Unit
    tiers: tuple[Tier, ...]
    model: str = ""
    volume: bool = False


class Tax(msgspec.Struct, frozen=True):
    """A tax on the net amount: `share` of it."""

    name: str
    share: Decimal


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """Prices in `currency`, and what holds for a whole month.

    `fee` is the subscription, `included` what it (or a free quota) includes of a unit, `minimum` what a month
    costs at least before taxes, `discount` the share that is taken off what usage costs. Requests and rows
    that were answered without computing cost `cached_share` of their price. An amount is rounded half up
    to `decimals` places, once: each line with `round_lines`, otherwise the sum of all lines.
    """

    name: str
    currency: str
    prices: tuple[Price, ...] = ()
    included: dict[Unit, Decimal] = {}
    fee: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    taxes: tuple[Tax, ...] = ()
    decimals: int = 2
    round_lines: bool = False
    cached_share: Decimal = Decimal(1)

    def prices_of(self, model: str) -> list[Price]:
        """The prices that hold for *model*, in the order of their units."""
        found = {price.unit: price for price in self.prices if not price.model}
        found |= {price.unit: price for price in self.prices if price.model == model}
        return [found[unit] for unit in Unit if unit in found]


def _default_prices() -> tuple[Price, ...]:
    said = ((Unit.REQUEST, "0.0001"), (Unit.ROW, "0.00001"), (Unit.COMPUTE_SECOND, "0.0002"))
    return tuple(Price(unit, (Tier(Decimal(price)),)) for unit, price in said)


DEFAULT_PLAN = Plan("default", "EUR", _default_prices())
"""A million requests of one row, a millisecond each: 100 to be asked, 10 for the rows, 0.20 for the work."""


def quantity(plan: Plan, unit: Unit, use: Use) -> Decimal:
    """How much of *unit* is to be paid of *use*.

    >>> quantity(DEFAULT_PLAN, Unit.COMPUTE_SECOND, Use(compute_ns=250_000_000))
    Decimal('0.25')
    """
    names, places = _COUNTED[unit]
    counted = sum(getattr(use, name) for name in names)
    if unit in _CACHED:
        saved = EXACT.subtract(Decimal(1), plan.cached_share)
        cached = Decimal(getattr(use, _CACHED[unit]))
        counted = EXACT.subtract(Decimal(counted), EXACT.multiply(saved, cached))
    return plain(EXACT.scaleb(Decimal(counted), -places))


def part_of(plan: Plan, share: Fraction) -> Plan:
    """What *plan* says of a *share* of a month, for when it held no longer than that.

    Amounts are rounded to its decimals, quantities down to whole ones.
    """
    if share == 1:
        return plan
    return msgspec.structs.replace(
        plan,
        fee=coins(Fraction(plan.fee) * share, plan.decimals),
        minimum=coins(Fraction(plan.minimum) * share, plan.decimals),
        included={unit: _whole(most * share) for unit, most in _fractions(plan.included)},
        prices=tuple(_part_of_price(price, share) for price in plan.prices),
    )


def _fractions(included: dict[Unit, Decimal]) -> list[tuple[Unit, Fraction]]:
    return [(unit, Fraction(most)) for unit, most in included.items()]


def _part_of_price(price: Price, share: Fraction) -> Price:
    tiers = (
        tier if tier.up_to is None else Tier(tier.price, _whole(Fraction(tier.up_to) * share))
        for tier in price.tiers
    )
    return msgspec.structs.replace(price, tiers=tuple(tiers))


def _whole(number: Fraction) -> Decimal:
    return Decimal(number.numerator // number.denominator)


def checked(plan: Plan) -> Plan:
    """*plan*, if it can be; raises `Malformed` with what is wrong."""
    checked_name(plan.name, "plan")
    if not _CURRENCY.fullmatch(plan.currency):
        raise Malformed(f"{plan.currency[:20]!r} is no currency; write three capitals, as in EUR")
    if not 0 <= plan.decimals <= _DECIMALS:
        raise Malformed(f"an amount is rounded to 0 to {_DECIMALS} decimals")
    for what, amount in (("fee", plan.fee), ("minimum", plan.minimum)):
        _amount(what, amount)
        if coins(Fraction(amount), plan.decimals) != amount:
            raise Malformed(f"the {what} {amount} has more than {plan.decimals} decimals")
    for unit, included in plan.included.items():
        _amount(f"included {unit}", included)
    _share("discount", plan.discount)
    _share("cached share", plan.cached_share)
    for tax in plan.taxes:
        _share(f"tax {tax.name}", tax.share)
        if not tax.name.isprintable() or not 0 < len(tax.name) <= 40:
            raise Malformed("a tax has a name of 1 to 40 printable characters, as in VAT=19%")
    _check_prices(plan.prices)
    return plan


def _check_prices(prices: Iterable[Price]) -> None:
    seen: set[tuple[str, Unit]] = set()
    for price in prices:
        if price.model:
            checked_name(price.model)
        if (price.model, price.unit) in seen:
            raise Malformed(f"{price.unit} has two prices; give it one, with tiers if need be")
        seen.add((price.model, price.unit))
        ends = [tier.up_to for tier in price.tiers]
        rising = [end for end in ends[:-1] if end is not None]
        if not ends or ends[-1] is not None or len(rising) != len(ends) - 1:
            raise Malformed(f"every tier of {price.unit} but the last needs an end, and the last has none")
        if any(low >= high for low, high in pairwise([Decimal(0), *rising])):
            raise Malformed(f"the tiers of {price.unit} have to rise")
        for tier in price.tiers:
            _amount(f"price of {price.unit}", tier.price)


def _amount(what: str, amount: Decimal) -> None:
    if not amount.is_finite() or not 0 <= amount <= _MOST or -int(amount.as_tuple().exponent) > _PLACES:
        raise Malformed(f"the {what} is {amount}; it can be 0 to {_MOST:f}, with {_PLACES} decimals at most")


def _share(what: str, share: Decimal) -> None:
    _amount(what, share)
    if share > 1:
        raise Malformed(f"the {what} is {share}; it is a share, from 0 to 1")
