"""How much may be asked of a node, and the permits that nodes lease of their hub."""

from __future__ import annotations

from typing import Annotated

import msgspec

LIMIT_UNITS = ("request", "row", "byte", "concurrent")
"""What a limit counts: calls, rows of inputs, bytes of bodies, calls that are not answered yet."""
PERIODS_S = {"second": 1, "minute": 60, "day": 86_400}


class CallLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """Calls of *project* may take *amount* of *unit* in any *period_s*; 0 for `concurrent`, which has none.

    With *key_id* or *model*, only the calls by that key, or of that model, count.
    """

    id: str
    project: str
    unit: str
    amount: int
    period_s: int = 0
    key_id: str = ""
    model: str = ""

    def __str__(self) -> str:
        """As a person says it.

        >>> str(CallLimit("a1", "default", "row", 500, 60))
        '500 rows a minute'
        """
        period = next((name for name, length_s in PERIODS_S.items() if length_s == self.period_s), "")
        if not period:
            return f"{self.amount} concurrent calls"
        return f"{self.amount} {self.unit}{'' if self.amount == 1 else 's'} a {period}"


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[!-~]+$")]


class PermitsAsked(msgspec.Struct, frozen=True, array_like=True):
    """Of one limit: how many permits a worker has, and how many more it would like."""

    held: _Count
    more: _Count


class LeaseAsk(msgspec.Struct, frozen=True):
    """What one worker says of its permits, by limit; *number* grows, so that an old word is known as old."""

    holder: _Name
    number: _Count
    limits: dict[_Name, PermitsAsked]


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """How many permits a worker may have, how many nobody has, and how many it should keep at most."""

    share: int
    free: int
    ceiling: int


class LeaseAnswer(msgspec.Struct, frozen=True):
    """The leases, good for *ttl_s* from when they were asked for; a limit that is missing is no more."""

    ttl_s: float
    limits: dict[str, Lease]
