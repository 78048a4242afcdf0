"""Plans: what things cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

from forebay.client.bill_results import Bill, Plan, PlanUse
from forebay.client.door import Door
from forebay.client.pricing import number_text, plan_body, price_of, share_text
from forebay.client.results import Items
from forebay.client.shown import Listing, moment_text
from forebay.core.errors import NotFound

Money: TypeAlias = str | int | Decimal
"""Never a binary float, which has no cents."""


class PlansOf:
    """`hub.plans`: the prices of a hub, and which hold for a project."""

    def __init__(self, door: Door, project: str) -> None:
        self._door = door
        self._project = f"/api/v1/projects/{project}"

    def __call__(self) -> Listing[Plan]:
        """Every version of every plan."""
        return Listing(self._door.ask("GET", "/api/v1/plans", Items[Plan]).items)

    def show(self, name: str) -> Plan:
        """The latest version of a plan; raises `NotFound`."""
        found = [plan for plan in self() if plan.name == name]
        if not found:
            raise NotFound(f"there is no plan {name!r}; `forebay plans` lists those that there are")
        return found[-1]

    def create(
        self,
        name: str,
        prices: Mapping[str, Money],
        *,
        volume: Mapping[str, Money] | None = None,
        included: Mapping[str, Money] | None = None,
        currency: str | None = None,
        fee: Money | None = None,
        minimum: Money | None = None,
        discount: Money | None = None,
        taxes: Mapping[str, Money] | None = None,
        decimals: int | None = None,
        round_lines: bool | None = None,
        cached_share: Money | None = None,
        holds_from: datetime | str | None = None,
    ) -> Plan:
        """Make a plan, or the next version of one.

        *prices* has a price for a unit, `{"request": "0.01"}`, or for that of one model, `{"digits:row":
        "0.002"}`; `"0.01:1000,0.005"` is 0.01 each up to the thousandth of a month and 0.005 beyond, in
        *volume* the price of all of them; `"0.50/1M"` is the price of a million. Raises `Malformed` and
        `Conflict`.
        """
        terms = {
            "prices": _prices(prices, volume=False) + _prices(volume or {}, volume=True),
            "included": {unit: number_text(amount) for unit, amount in (included or {}).items()},
            "currency": currency,
            "fee": _text(fee),
            "minimum": _text(minimum),
            "discount": None if discount is None else share_text(str(discount)),
            "taxes": [{"name": tax, "share": share_text(str(share))} for tax, share in (taxes or {}).items()],
            "decimals": decimals,
            "round_lines": round_lines,
            "cached_share": None if cached_share is None else share_text(str(cached_share)),
            "holds_from": moment_text(holds_from),
        }
        return self.create_from(plan_body(name, terms))

    def create_from(self, body: Mapping[str, object]) -> Plan:
        """Make a plan of what `POST /api/v1/plans` takes."""
        return self._door.ask("POST", "/api/v1/plans", Plan, json=dict(body))

    def use(self, name: str, holds_from: datetime | str | None = None) -> PlanUse:
        """Let a plan hold for the project, from this hour on unless it is said; raises `NotFound`."""
        body = {"plan": name, "holds_from": moment_text(holds_from)}
        return self._door.ask("POST", f"{self._project}/plans", PlanUse, json=body)

    def uses(self) -> Listing[PlanUse]:
        """Which plans were chosen for the project, by when they hold."""
        return Listing(self._door.ask("GET", f"{self._project}/plans", Items[PlanUse]).items)

    def preview(self, name: str | None = None, month: str | None = None) -> Listing[Bill]:
        """What *month* (as `2026-11`, by default this one) comes to, or would have under the plan *name*."""
        found = month or f"{datetime.now(UTC):%Y-%m}"
        path = f"{self._project}/bills/{found}"
        return Listing(self._door.ask("GET", path, Items[Bill], query={"plan": name}).items)


def _prices(said: Mapping[str, Money], *, volume: bool) -> list[dict[str, object]]:
    return [price_of(what, str(price), volume=volume) for what, price in said.items()]


def _text(money: Money | None) -> str | None:
    return None if money is None else number_text(money)
