"""What the hub answers about money, typed."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from forebay.client.shown import Shown


class Tier(msgspec.Struct, frozen=True):
    """A price that holds up to a quantity of a month; the last tier has no end."""

    price: Decimal
    up_to: Decimal | None = None

    def __str__(self) -> str:
        """The price, and up to where it holds."""
        return f"{self.price:f}" if self.up_to is None else f"{self.price:f}:{self.up_to:f}"


class Price(msgspec.Struct, frozen=True):
    """What a unit costs, of one model or of all."""

    unit: str
    tiers: list[Tier]
    model: str = ""
    volume: bool = False

    def __str__(self) -> str:
        """As `forebay plans create` takes it."""
        tiers = ",".join(map(str, self.tiers))
        return f"{self.model}{':' if self.model else ''}{self.unit}={tiers}"


class Tax(msgspec.Struct, frozen=True):
    """A tax on the net amount."""

    name: str
    share: Decimal
    amount: Decimal | None = None


class Plan(Shown, frozen=True):
    """One version of what things cost, in `currency`."""

    name: str
    version: int
    holds_from: datetime
    currency: str
    prices: list[Price]
    included: dict[str, Decimal] = msgspec.field(default_factory=dict)
    fee: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    taxes: list[Tax] = msgspec.field(default_factory=list)
    decimals: int = 2
    round_lines: bool = False
    cached_share: Decimal = Decimal(1)


class PlanUse(Shown, frozen=True):
    """From `holds_from` on, a plan holds for a project."""

    project: str
    plan: str
    holds_from: datetime


class BillLine(Shown, frozen=True):
    """One line of a bill; `cost` is exact."""

    kind: str
    month: str
    plan: str
    cost: Decimal
    model: str = ""
    version: int = 0
    key_id: str = ""
    unit: str = ""
    quantity: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    text: str = ""


class Bill(Shown, frozen=True):
    """What a month comes to in one currency."""

    currency: str
    lines: list[BillLine]
    net: Decimal
    total: Decimal
    taxes: list[Tax] = msgspec.field(default_factory=list)


class Invoice(Bill, frozen=True, kw_only=True):
    """An invoice; one that takes another back names it in `counters`."""

    number: int
    project: str
    month: str
    issued_at: datetime
    sender: str = ""
    recipient: str = ""
    period_start: datetime | None = None
    period_end: datetime | None = None
    reason: str = ""
    counters: int | None = None
    countered_by: int | None = None


class Credit(Shown, frozen=True):
    """What is left of a project's credits in one currency."""

    currency: str
    amount: Decimal
