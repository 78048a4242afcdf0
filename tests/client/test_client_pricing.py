"""Prices as people write them."""

from __future__ import annotations

import pytest

from forebay.client.pricing import included_of, price_of, prices_of, share_text, taxes_of
from forebay.core.errors import Malformed


def test_prices_are_written_by_unit_or_by_model_and_unit() -> None:
    found = prices_of(["request=0.01", "digits:compute-second=0.5"])
    assert [(price["model"], price["unit"]) for price in found] == [
        ("", "request"),
        ("digits", "compute_second"),
    ]


@pytest.mark.parametrize(
    ("said", "tiers"),
    [
        ("0.01", [("0.01", None)]),
        ("0.50/1M", [("0.00000050", None)]),
        ("2/1k", [("0.002", None)]),
        ("3/100", [("0.03", None)]),
        ("0.01:1k, 0.005:10k, 0.001", [("0.01", "1000"), ("0.005", "10000"), ("0.001", None)]),
    ],
)
def test_a_price_may_have_tiers_and_be_for_many(said: str, tiers: list[tuple[str, str | None]]) -> None:
    assert [(tier["price"], tier["up_to"]) for tier in price_of("row", said)["tiers"]] == tiers


@pytest.mark.parametrize("said", ["", "cheap", "1/3", "1/0", "1:many", "NaN", "0.1e"])
def test_a_price_that_is_no_price_is_refused_with_how_it_is_written(said: str) -> None:
    with pytest.raises(Malformed, match=r"request=0\.01"):
        price_of("row", said)


def test_shares_and_amounts_are_written_as_people_do() -> None:
    assert taxes_of(["VAT=19%"]) == [{"name": "VAT", "share": "0.19"}]
    assert share_text("0.5%") == "0.005"
    assert included_of(["request=10k", "input-token=1M"]) == {"request": "10000", "input_token": "1000000"}
    with pytest.raises(Malformed, match="NAME=SHARE"):
        taxes_of(["19%"])
