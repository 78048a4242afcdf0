"""Money: exact until a plan rounds it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.control.billing import (
    DEFAULT_PLAN,
    Charge,
    Item,
    Plan,
    Price,
    Tier,
    Unit,
    Use,
    cost,
    rate,
    rounded,
)
from forebay.control.billing.money import coins, plain
from forebay.control.billing.plans import checked, part_of
from forebay.control.billing.use import together
from forebay.core.errors import Malformed

counts = st.integers(0, 10**15)
shares = st.decimals(0, 1, allow_nan=False, places=4)
prices = st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=8)
models = st.sampled_from(["digits", "iris", "words"])


@st.composite
def uses(draw: st.DrawFn) -> Use:
    found = [draw(counts) for _ in range(11)]
    found[5], found[6] = draw(st.integers(0, found[0])), draw(st.integers(0, found[1]))
    return Use(*found)


@st.composite
def tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    ends = sorted(draw(st.sets(st.integers(1, 10**16), max_size=3)))
    return (*(Tier(draw(prices), Decimal(end)) for end in ends), Tier(draw(prices)))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    kinds = draw(st.sets(st.tuples(st.sampled_from(Unit), st.sampled_from(["", "iris"])), max_size=6))
    said = tuple(Price(unit, draw(tiers()), model, draw(st.booleans())) for unit, model in sorted(kinds))
    included = draw(st.dictionaries(st.sampled_from(Unit), counts.map(Decimal), max_size=3))
    return checked(Plan("any", "EUR", said, included, cached_share=draw(shares)))


items = st.lists(st.builds(Item, st.tuples(st.integers(0, 5)), models, uses()), max_size=8)


@given(plan=plans(), used=items, cut=st.integers(0, 8))
def test_the_parts_of_a_month_add_up_to_the_whole_whatever_is_included_and_however_it_is_cut(
    plan: Plan, used: list[Item], cut: int
) -> None:
    graduated = tuple(msgspec.structs.replace(price, volume=False) for price in plan.prices)
    plan = msgspec.structs.replace(plan, prices=graduated)
    first, second = used[:cut], used[cut:]
    parts = rate(plan, first) + rate(plan, second, before=first)
    assert exactly(parts) == exactly(rate(plan, used))


@given(plan=plans(), used=items)
def test_every_charge_is_its_quantity_times_its_price_and_nothing_is_lost(
    plan: Plan, used: list[Item]
) -> None:
    charges = rate(plan, used)
    assert all(
        Fraction(charge.cost) == Fraction(charge.quantity) * Fraction(charge.price) for charge in charges
    )
    rows = [item for item in used if any(price.unit is Unit.ROW for price in plan.prices_of(item.model))]
    charged = sum(Fraction(charge.quantity) for charge in charges if charge.unit is Unit.ROW)
    saved = 1 - Fraction(plan.cached_share)
    assert charged == sum(item.use.rows - saved * item.use.cached_rows for item in rows)


@given(plan=plans(), use=uses(), more=uses())
def test_more_use_never_costs_less_without_volume_prices(plan: Plan, use: Use, more: Use) -> None:
    graduated = tuple(msgspec.structs.replace(price, volume=False) for price in plan.prices)
    plan = msgspec.structs.replace(plan, prices=graduated)
    assert cost(plan, use + more) >= cost(plan, use) >= 0


@given(price=prices, decimals=st.integers(0, 6))
def test_an_amount_is_a_whole_number_of_the_smallest_coin_and_close_to_the_price(
    price: Decimal, decimals: int
) -> None:
    paid = rounded(price, decimals)
    assert -int(paid.as_tuple().exponent) == decimals
    assert abs(paid - price) <= Decimal(1).scaleb(-decimals) / 2


@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=0, max_value=10**12))
def test_a_shortened_number_is_the_same_number(number: Decimal) -> None:
    assert plain(number) == number
    assert "E" not in format(plain(number), "f")


def test_a_half_cent_is_rounded_up() -> None:
    assert rounded(Decimal("0.005"), 2) == Decimal("0.01")
    assert rounded(Decimal("0.0049999999"), 2) == Decimal("0.00")
    assert coins(Fraction(1, 200), 2) == Decimal("0.01")


def test_the_default_plan_costs_what_it_says() -> None:
    million = Use(requests=10**6, rows=10**6, compute_ns=10**6 * 10**6)
    assert cost(DEFAULT_PLAN, million) == Decimal("110.2")


def test_what_was_answered_without_computing_costs_the_plans_share_of_the_price() -> None:
    tenth = msgspec.structs.replace(DEFAULT_PLAN, cached_share=Decimal("0.1"))
    cached = Use(requests=10, rows=20, cached=10, cached_rows=20)
    assert cost(tenth, cached) == cost(tenth, Use(requests=10, rows=20)) / 10
    assert cost(DEFAULT_PLAN, cached) == cost(DEFAULT_PLAN, Use(requests=10, rows=20))


def plan(*prices: Price, **terms: object) -> Plan:
    return checked(Plan("any", "EUR", prices, **terms))  # type: ignore[arg-type]  # a test's own mix of terms


def per_request(*tiers: tuple[str, int | None], volume: bool = False, model: str = "") -> Price:
    said = tuple(Tier(Decimal(price), None if end is None else Decimal(end)) for price, end in tiers)
    return Price(Unit.REQUEST, said, model, volume)


def requests(number: int, model: str = "digits") -> Item:
    return Item((model,), model, Use(requests=number))


def test_with_tiers_each_part_costs_what_its_own_tier_says() -> None:
    tiered = plan(per_request(("0.01", 1000), ("0.005", None)))
    assert cost(tiered, Use(requests=1500)) == Decimal("12.5")
    charges = rate(tiered, [requests(900, "digits"), requests(600, "iris")])
    assert [f"{each.group[0]} {each.quantity} {each.price}" for each in charges] == [
        "digits 900 0.01",
        "iris 100 0.01",
        "iris 500 0.005",
    ]


def test_with_volume_the_whole_costs_what_the_last_tier_reached_says() -> None:
    volume = plan(per_request(("0.01", 1000), ("0.005", None), volume=True))
    assert cost(volume, Use(requests=1000)) == Decimal(10)
    assert cost(volume, Use(requests=1001)) == Decimal("5.005")


def test_what_is_included_costs_nothing_and_is_shown() -> None:
    free = plan(per_request(("0.01", None)), included={Unit.REQUEST: Decimal(100)})
    [included, charged] = rate(free, [requests(130)])
    assert (included.quantity, included.cost, included.included) == (Decimal(100), Decimal(0), True)
    assert (charged.quantity, charged.cost) == (Decimal(30), Decimal("0.3"))


def test_a_model_may_have_a_price_of_its_own() -> None:
    own = plan(per_request(("0.01", None)), per_request(("0.5", None), model="iris"))
    assert [each.cost for each in rate(own, [requests(10), requests(10, "iris")])] == [
        Decimal("0.1"),
        Decimal(5),
    ]


def test_of_a_part_of_a_month_only_that_part_is_included_and_paid() -> None:
    whole = plan(
        per_request(("0.01", 1000), ("0.005", None)),
        included={Unit.REQUEST: Decimal(100)},
        fee=Decimal("10.00"),
        minimum=Decimal("3.00"),
    )
    third = part_of(whole, Fraction(1, 3))
    assert (third.fee, third.minimum) == (Decimal("3.33"), Decimal("1.00"))
    assert third.included == {Unit.REQUEST: 33}
    assert third.prices[0].tiers[0].up_to == 333


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"currency": "euro"}, "no currency"),
        ({"decimals": 9}, "decimals"),
        ({"fee": Decimal("0.001")}, "decimals"),
        ({"fee": Decimal(-1)}, "fee"),
        ({"discount": Decimal("1.5")}, "share"),
        ({"prices": (per_request(("NaN", None)),)}, "price of request"),
        ({"prices": (per_request(("1", 5)),)}, "the last has none"),
        ({"prices": (per_request(("1", 5), ("2", 5), ("3", None)),)}, "rise"),
        ({"prices": (per_request(("1", None)), per_request(("2", None)))}, "two prices"),
        ({"prices": (per_request(("1", None), model="No Name"),)}, "model"),
        ({"included": {Unit.ROW: Decimal("Infinity")}}, "included row"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_the_reason(terms: dict[str, object], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        checked(msgspec.structs.replace(DEFAULT_PLAN, **terms))


def exactly(charges: list[Charge]) -> Fraction:
    return sum((Fraction(charge.cost) for charge in charges), Fraction(0))


@given(parts=st.lists(uses(), max_size=5))
def test_use_adds_up_and_takes_away(parts: list[Use]) -> None:
    whole = together(parts)
    for part in parts:
        whole -= part
    assert whole == Use()
