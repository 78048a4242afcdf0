"""Exact decimals, and the one place where they are rounded."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, Inexact
from fractions import Fraction

EXACT = Context(prec=200, traps=[Inexact])
_ROUNDING = Context(prec=200, rounding=ROUND_HALF_UP)


def rounded(price: Decimal, decimals: int) -> Decimal:
    """An amount to pay: half up, away from zero.

    >>> rounded(Decimal("12.345"), 2), rounded(Decimal("-12.345"), 2)
    (Decimal('12.35'), Decimal('-12.35'))
    """
    found = price.quantize(Decimal(1).scaleb(-decimals), context=_ROUNDING)
    return abs(found) if found == 0 else found


def coins(amount: Fraction, decimals: int) -> Decimal:
    """The nearest amount that can be paid to a positive *amount*; a half is rounded up.

    >>> coins(Fraction(10, 3), 2)
    Decimal('3.33')
    """
    whole = (amount * 10**decimals + Fraction(1, 2)).__floor__()
    return EXACT.scaleb(Decimal(whole), -decimals)


def plain(number: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent.

    >>> plain(Decimal("0.500")), plain(Decimal("1E+2"))
    (Decimal('0.5'), Decimal('100'))
    """
    short = number.normalize(EXACT)
    return short.quantize(Decimal(1), context=EXACT) if int(short.as_tuple().exponent) > 0 else short
