"""What calls may take, set and listed."""

from __future__ import annotations

from datetime import datetime

from forebay.client.door import Door
from forebay.client.results import Items
from forebay.client.shown import Shown
from forebay.core.errors import Malformed

_HOW = "write UNIT=AMOUNT/PERIOD, as in request=100/minute, row=5000/day, or concurrent=8"


class CallLimit(Shown, frozen=True):
    """At most `amount` of `unit` in any `period`, by one key, of one model, or of the whole project."""

    id: str
    project: str
    unit: str
    amount: int
    period: str
    model: str
    key_id: str
    by_platform: bool
    set_by: str
    set_at: datetime

    def __str__(self) -> str:
        """As `forebay limits set` takes it."""
        return f"{self.unit}={self.amount}{'/' if self.period else ''}{self.period}"


class LimitsOf:
    """`hub.limits`: the limits of one project."""

    def __init__(self, door: Door, project: str) -> None:
        self._door = door
        self._limits = f"/api/v1/projects/{project}/limits"

    def __call__(self) -> list[CallLimit]:
        """Every limit of the project."""
        return self._door.ask("GET", self._limits, Items[CallLimit]).items

    def set(self, limit: str, *, model: str = "", key: str = "") -> CallLimit:
        """Set *limit*, as in `request=100/minute`, `byte=1000000/second` or `concurrent=8`.

        With a *model*, or the id of a *key*, it is for the calls of that alone. Raises `Malformed`.
        """
        unit, amount, period = limit_of(limit)
        body = {"unit": unit, "amount": amount, "period": period, "model": model, "key_id": key}
        return self._door.ask("PUT", self._limits, CallLimit, json=body)

    def remove(self, limit_id: str) -> None:
        """Limit this no more; raises `NotFound`."""
        self._door.send("DELETE", f"{self._limits}/{limit_id}")


def limit_of(said: str) -> tuple[str, int, str]:
    """Unit, amount and period; raises `Malformed`.

    >>> limit_of("row=5000/day")
    ('row', 5000, 'day')
    >>> limit_of("concurrent=8")
    ('concurrent', 8, '')
    """
    unit, equals, rest = said.partition("=")
    amount, _, period = rest.partition("/")
    if not equals or not amount.strip().isdecimal():
        raise Malformed(f"{said[:60]!r} is no limit; {_HOW}")
    return unit.strip(), int(amount), period.strip()
