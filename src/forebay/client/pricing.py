"""Prices as people write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from forebay.core.errors import Malformed

_MANY = {"": 0, "k": 3, "M": 6, "G": 9}
_HOW = "write UNIT=PRICE or MODEL:UNIT=PRICE, as in request=0.01, token=0.50/1M or row=0.01:1000,0.005"


def price_of(what: str, said: str, *, volume: bool = False) -> dict[str, Any]:
    """A price as the hub takes it; raises `Malformed`.

    >>> price_of("digits:row", "0.01:1000,0.005")["tiers"]
    [{'price': '0.01', 'up_to': '1000'}, {'price': '0.005', 'up_to': None}]
    >>> price_of("token", "0.50/1M")["tiers"]
    [{'price': '0.00000050', 'up_to': None}]
    """
    model, _, unit = what.rpartition(":")
    tiers = [_tier(part.strip()) for part in said.split(",")]
    return {"unit": unit.replace("-", "_"), "model": model, "tiers": tiers, "volume": volume}


def prices_of(pairs: Iterable[str], *, volume: bool = False) -> list[dict[str, Any]]:
    """Several prices, each as `UNIT=PRICE`."""
    return [price_of(*pair_of(pair, _HOW), volume=volume) for pair in pairs]


def included_of(pairs: Iterable[str]) -> dict[str, str]:
    """Amounts that are included, each as `UNIT=AMOUNT`."""
    how = "write UNIT=AMOUNT, as in request=1000"
    return {
        unit.replace("-", "_"): number_text(said) for unit, said in (pair_of(pair, how) for pair in pairs)
    }


def taxes_of(pairs: Iterable[str]) -> list[dict[str, str]]:
    """Taxes, each as `NAME=SHARE`."""
    found = (pair_of(pair, "write NAME=SHARE, as in VAT=19%") for pair in pairs)
    return [{"name": name, "share": share_text(said)} for name, said in found]


def plan_body(name: str, terms: Mapping[str, Any]) -> dict[str, Any]:
    """What `POST /plans` takes, of a name and what was said; what was not said is left to the hub."""
    return {"name": name, **{key: value for key, value in terms.items() if value not in (None, [], {})}}


def pair_of(said: str, how: str) -> tuple[str, str]:
    """The two sides of an equals sign; raises `Malformed` with *how* it is written."""
    name, equals, value = said.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise Malformed(f"{said[:60]!r} is not understood; {how}")
    return name.strip(), value.strip()


def share_text(said: str) -> str:
    """A share as the hub takes it.

    >>> share_text("19%"), share_text("0.19")
    ('0.19', '0.19')
    """
    if said.endswith("%"):
        return f"{_number(said[:-1]).scaleb(-2):f}"
    return number_text(said)


def number_text(said: object) -> str:
    """A number as the hub takes it; `10k`, `5M` and `1G` mean thousands, millions and billions.

    >>> number_text("10k"), number_text(2), number_text("0.50")
    ('10000', '2', '0.50')
    """
    return f"{_number(str(said)):f}"


def _tier(said: str) -> dict[str, str | None]:
    price, colon, end = said.partition(":")
    number, slash, many = price.partition("/")
    found = _number(number)
    if slash:
        found = found.scaleb(-_zeros(many))
    return {"price": f"{found:f}", "up_to": number_text(end) if colon else None}


def _zeros(many: str) -> int:
    number = _number(many)
    if number <= 0 or number.normalize().as_tuple().digits != (1,):
        raise Malformed(f"a price is for 1, 10, 100 …, 1k or 1M, not for {many[:20]!r}; {_HOW}")
    return number.adjusted()


def _number(said: str) -> Decimal:
    text = said.strip()
    zeros = _MANY.get(text[-1:], 0)
    try:
        found = Decimal(text[:-1] if zeros else text)
    except InvalidOperation:
        raise Malformed(f"{said[:40]!r} is no number; {_HOW}") from None
    if not found.is_finite():
        raise Malformed(f"{said[:40]!r} is no number; {_HOW}")
    return found.scaleb(zeros)
