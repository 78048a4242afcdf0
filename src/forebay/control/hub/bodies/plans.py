"""Plans, and what a month comes to under one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.billing import Bill, Kind, Plan, PlanUse, PlanVersion, Unit
from forebay.control.hub.bodies.base import Asked, Told

_TERMS: JsonDict = {
    "name": "team",
    "currency": "EUR",
    "prices": [
        {
            "unit": "request",
            "model": "",
            "volume": False,
            "tiers": [{"price": "0.01", "up_to": "1000"}, {"price": "0.005", "up_to": None}],
        }
    ],
    "included": {"request": "100"},
    "fee": "9.00",
    "minimum": "0",
    "discount": "0",
    "taxes": [{"name": "VAT", "share": "0.19"}],
    "decimals": 2,
    "round_lines": False,
    "cached_share": "1",
}


_LINE: JsonDict = {
    "kind": "usage",
    "month": "2026-11",
    "plan": "team:1",
    "model": "digits",
    "version": 1,
    "key_id": "0a1b2c3d",
    "unit": "request",
    "quantity": "120",
    "price": "0.01",
    "cost": "1.2",
    "text": "",
}
BILL: JsonDict = {
    "currency": "EUR",
    "lines": [_LINE],
    "net": "1.20",
    "taxes": [{"name": "VAT", "share": "0.19", "amount": "0.23"}],
    "total": "1.43",
}


class TierBody(Asked):
    """A price that holds up to a quantity of a month; the last tier has no end."""

    price: Decimal
    up_to: Decimal | None = None


class PriceBody(Asked):
    """What a unit costs; with several tiers each part its own, with `volume` all of it the last one's."""

    unit: Unit
    tiers: tuple[TierBody, ...] = Field(min_length=1)
    model: str = Field("", description="Of this model alone; empty for all without a price of their own.")
    volume: bool = False


class TaxBody(Asked):
    """A tax on the net amount."""

    name: str
    share: Decimal


class PlanBody(Asked):
    """What a plan says. Money is text, so that no reader makes it a rounded binary number."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_TERMS, "holds_from": "2026-12-01T00:00:00Z"}]}
    )

    name: str
    currency: str = "EUR"
    prices: tuple[PriceBody, ...] = ()
    included: dict[Unit, Decimal] = Field({}, description="How much of a unit a month includes.")
    fee: Decimal = Field(Decimal(0), description="The subscription, a month.")
    minimum: Decimal = Field(Decimal(0), description="What a month costs at least, before taxes.")
    discount: Decimal = Field(Decimal(0), description="The share that is taken off what usage costs.")
    taxes: tuple[TaxBody, ...] = ()
    decimals: int = Field(2, description="To how many places an amount to pay is rounded, once.")
    round_lines: bool = Field(False, description="Whether each line is rounded, and not only their sum.")
    cached_share: Decimal = Field(
        Decimal(1), description="What a request that took no computing, and its rows, cost of the price."
    )
    holds_from: datetime | None = Field(
        None,
        description="UTC unless it says so; by default this hour, for a first version always.",
    )

    def plan(self) -> Plan:
        """The plan that is meant."""
        return msgspec.convert(self.model_dump(exclude={"holds_from"}), Plan)


class PlanAnswer(Told):
    """A version of a plan, and from when on it holds."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_TERMS, "version": 1, "holds_from": "2026-12-01T00:00:00Z"}]}
    )

    name: str
    version: int
    holds_from: datetime
    currency: str
    prices: list[PriceBody]
    included: dict[Unit, Decimal]
    fee: Decimal
    minimum: Decimal
    discount: Decimal
    taxes: list[TaxBody]
    decimals: int
    round_lines: bool
    cached_share: Decimal

    @classmethod
    def of(cls, said: PlanVersion) -> PlanAnswer:
        """A version, as it is shown."""
        terms = {name: getattr(said.plan, name) for name in said.plan.__struct_fields__}
        plain = {name: msgspec.to_builtins(value, builtin_types=(Decimal,)) for name, value in terms.items()}
        return cls(version=said.version, holds_from=said.holds_from, **plain)


class Plans(Told):
    """Every version of every plan."""

    items: list[PlanAnswer]


class UseBody(Asked):
    """Which plan is to hold for a project."""

    plan: str = Field(examples=["team"])
    holds_from: datetime | None = Field(
        None, description="UTC unless it says so; by default this hour.", examples=["2026-12-01T00:00:00Z"]
    )


class UseAnswer(Told):
    """From `holds_from` on this plan holds for the project."""

    project: str = Field(examples=["default"])
    plan: str = Field(examples=["team"])
    holds_from: datetime = Field(examples=["2026-12-01T00:00:00Z"])

    @classmethod
    def of(cls, use: PlanUse) -> UseAnswer:
        """As it is shown."""
        return cls.model_validate(use)


class UseList(Told):
    """Every plan that was chosen for a project, by when it holds; before the first, `default` does."""

    items: list[UseAnswer]


class LineAnswer(Told):
    """One line; `cost` is exact. `month` is when it was used: an earlier one for a `late` line.

    `plan` is a plan and its version.
    """

    kind: Kind
    month: str
    plan: str
    model: str
    version: int
    key_id: str
    unit: str
    quantity: Decimal
    price: Decimal
    cost: Decimal
    text: str


class TaxAnswer(Told):
    """A tax, and what it comes to."""

    name: str = Field(examples=["VAT"])
    share: Decimal = Field(examples=["0.19"])
    amount: Decimal = Field(examples=["0.23"])


class BillAnswer(Told):
    """What a month comes to in one currency: `net` is the sum of the lines, rounded once."""

    model_config = ConfigDict(json_schema_extra={"examples": [BILL]})

    currency: str
    lines: list[LineAnswer]
    net: Decimal
    taxes: list[TaxAnswer]
    total: Decimal


class Bills(Told):
    """A bill for each currency; none if there is nothing to pay."""

    items: list[BillAnswer]

    @classmethod
    def of(cls, found: list[Bill]) -> Bills:
        """As they are shown."""
        return cls(items=[BillAnswer.model_validate(bill) for bill in found])
