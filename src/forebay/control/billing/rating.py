"""What usage costs: pure functions over exact decimals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, localcontext

_NS_PER_S = 1_000_000_000
_EXACT = Context(prec=100, traps=[Inexact])
_ROUNDING = Context(prec=100, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Plan:
    """Prices in `currency`: for each request, each row, and each second of computing.

    Requests (and their rows) that a node answered without computing, because it had kept the answer, cost
    `cached_share` of that.

    An amount to pay is rounded to `decimals` places, half up, once: when all of it has been added up.
    """

    name: str
    currency: str
    per_request: Decimal
    per_row: Decimal
    per_compute_s: Decimal
    decimals: int = 2
    cached_share: Decimal = Decimal(1)


DEFAULT_PLAN = Plan(
    name="default",
    currency="EUR",
    per_request=Decimal("0.0001"),
    per_row=Decimal("0.00001"),
    per_compute_s=Decimal("0.0002"),
)
"""A million requests of one row, a millisecond each: 100 to be asked, 10 for the rows, 0.20 for the work."""


@dataclass(frozen=True, slots=True)
class Use:
    """Usage, added up; `cached` counts the requests, with `cached_rows`, that took no computing."""

    requests: int = 0
    rows: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    compute_ns: int = 0
    cached: int = 0
    cached_rows: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(
            self.requests + other.requests,
            self.rows + other.rows,
            self.request_bytes + other.request_bytes,
            self.response_bytes + other.response_bytes,
            self.compute_ns + other.compute_ns,
            self.cached + other.cached,
            self.cached_rows + other.cached_rows,
        )

    @property
    def compute_s(self) -> Decimal:
        """The seconds of computing, exactly."""
        with localcontext(_EXACT):
            return Decimal(self.compute_ns) / _NS_PER_S


def together(uses: Iterable[Use]) -> Use:
    """All of *uses* in one."""
    return sum(uses, Use())


def cost(plan: Plan, use: Use) -> Decimal:
    """What *use* costs, exactly: nothing is rounded, so that parts add up to their total.

    >>> cost(DEFAULT_PLAN, Use(requests=3, rows=40, compute_ns=250_000_000))
    Decimal('0.00075')
    """
    with localcontext(_EXACT):
        saved = 1 - plan.cached_share
        requests, rows = use.requests - saved * use.cached, use.rows - saved * use.cached_rows
        price = plan.per_request * requests + plan.per_row * rows + plan.per_compute_s * use.compute_s
        return plain(price)


def amount(plan: Plan, price: Decimal) -> Decimal:
    """What is to be paid of an exact *price*: rounded as the plan says.

    >>> amount(DEFAULT_PLAN, Decimal("12.345"))
    Decimal('12.35')
    """
    return price.quantize(Decimal(1).scaleb(-plan.decimals), context=_ROUNDING)


def plain(number: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent.

    >>> plain(Decimal("0.500")), plain(Decimal("1E+2"))
    (Decimal('0.5'), Decimal('100'))
    """
    short = number.normalize(_EXACT)
    return short.quantize(Decimal(1), context=_EXACT) if int(short.as_tuple().exponent) > 0 else short
