"""Money: exact until a plan rounds it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from forebay.control.billing import DEFAULT_PLAN, Plan, Use, amount, cost
from forebay.control.billing.rating import plain, together

counts = st.integers(0, 10**15)
shares = st.decimals(0, 1, allow_nan=False, places=4)
uses = st.builds(Use, counts, counts, counts, counts, counts).flatmap(
    lambda use: st.builds(
        replace, st.just(use), cached=st.integers(0, use.requests), cached_rows=st.integers(0, use.rows)
    )
)
prices = st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=8)
plans = st.builds(Plan, st.just("any"), st.just("EUR"), prices, prices, prices, st.integers(0, 4), shares)


@given(plan=plans, parts=st.lists(uses, max_size=20))
def test_the_parts_of_a_bill_add_up_to_its_total(plan: Plan, parts: list[Use]) -> None:
    assert sum(Fraction(cost(plan, part)) for part in parts) == Fraction(cost(plan, together(parts)))


@given(plan=plans, use=uses, more=uses)
def test_more_use_never_costs_less(plan: Plan, use: Use, more: Use) -> None:
    assert cost(plan, use + more) >= cost(plan, use) >= 0


@given(plan=plans, use=uses)
def test_an_amount_is_a_whole_number_of_the_smallest_coin_and_close_to_the_price(
    plan: Plan, use: Use
) -> None:
    price = cost(plan, use)
    paid = amount(plan, price)
    assert -int(paid.as_tuple().exponent) == plan.decimals
    assert abs(paid - price) <= Decimal(1).scaleb(-plan.decimals) / 2


@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=0, max_value=10**12))
def test_a_shortened_number_is_the_same_number(number: Decimal) -> None:
    assert plain(number) == number
    assert "E" not in format(plain(number), "f")


def test_a_half_cent_is_rounded_up() -> None:
    assert amount(DEFAULT_PLAN, Decimal("0.005")) == Decimal("0.01")
    assert amount(DEFAULT_PLAN, Decimal("0.0049999999")) == Decimal("0.00")


def test_the_default_plan_costs_what_it_says() -> None:
    million = Use(requests=10**6, rows=10**6, compute_ns=10**6 * 10**6)
    assert cost(DEFAULT_PLAN, million) == Decimal("110.2")
    assert str(amount(DEFAULT_PLAN, cost(DEFAULT_PLAN, million))) == "110.20"


def test_what_was_answered_without_computing_costs_the_plans_share_of_the_price() -> None:
    tenth = replace(DEFAULT_PLAN, cached_share=Decimal("0.1"))
    ten = Use(requests=10, rows=20)
    assert cost(tenth, replace(ten, cached=10, cached_rows=20)) == cost(tenth, ten) / 10
    assert cost(DEFAULT_PLAN, replace(ten, cached=10, cached_rows=20)) == cost(DEFAULT_PLAN, ten)
    assert cost(tenth, replace(ten, cached=5, cached_rows=10)) == cost(tenth, ten) * Decimal("0.55")
