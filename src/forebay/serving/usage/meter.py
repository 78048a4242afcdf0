"""What one worker may spend of one limit. It knows no clock and no hub: both are told to it.

A limit of 100 a minute is a hundred permits, each owned by one worker or by the hub. A permit that is spent
cools for a minute, wherever it is, before it can be spent or given back. So no minute, wherever it begins,
sees a permit twice: a sliding window that is exact over as many workers as own permits.
"""

from __future__ import annotations

from collections import deque
from math import floor, inf

from forebay.core import CallLimit, Lease, PermitsAsked

_SLOTS = 64  # in a period; what is spent within one cools together, until the last of it has cooled
_CHUNKS = 16
_DRY_S = 0.2
_QUIET_S = 0.9


class Meter:
    """The permits of one limit: `idle`, `busy` in calls that are not answered yet, or cooling."""

    def __init__(self, limit: CallLimit) -> None:
        self.limit = limit
        self.idle = self.busy = 0
        self.free = 0
        self.wanted = 0
        self._cooling: deque[tuple[float, int]] = deque()
        self._cooling_sum = 0
        self._ceiling = limit.amount
        self._until_s = self._dry_until_s = self._spent_s = -inf
        self._least_idle = 0

    @property
    def held(self) -> int:
        """How many permits are here."""
        return self.idle + self.busy + self._cooling_sum

    @property
    def chunk(self) -> int:
        """How many permits are had ready for who may come."""
        return max(1, self.limit.amount // _CHUNKS)

    def has(self, cost: int, now_s: float) -> bool:
        """Whether so many permits can be spent now."""
        cooling = self._cooling
        while cooling and cooling[0][0] <= now_s:
            count = cooling.popleft()[1]
            self._cooling_sum -= count
            self.idle += count
        return cost <= self.idle and now_s < self._until_s

    def is_dry(self, now_s: float) -> bool:
        """Whether the hub has said a moment ago that nobody has a permit to give."""
        return now_s < self._dry_until_s

    def spend(self, cost: int, now_s: float) -> None:
        """Take permits that this `has`."""
        self.idle -= cost
        self._least_idle = min(self._least_idle, self.idle)
        self._spent_s = now_s
        period_s = self.limit.period_s
        if not period_s:
            self.busy += cost
            return
        slot_s = period_s / _SLOTS
        cool_s = (floor(now_s / slot_s) + 1) * slot_s + period_s
        if self._cooling and self._cooling[-1][0] >= cool_s:
            cool_s, count = self._cooling.pop()
            self._cooling.append((cool_s, count + cost))
        else:
            self._cooling.append((cool_s, cost))
        self._cooling_sum += cost

    def undo(self, cost: int) -> None:
        """Take back what was spent last: the call did not begin."""
        if self.limit.period_s:
            cool_s, count = self._cooling.pop()
            self._cooling.append((cool_s, count - cost))
            self._cooling_sum -= cost
            self.idle += cost
        else:
            self.end(cost)

    def end(self, cost: int) -> None:
        """A call is over, and so is what it counted among the concurrent ones."""
        if not self.limit.period_s:
            self.busy -= cost
            self.idle += cost

    def is_low(self) -> bool:
        """Whether it is time to ask for more, before somebody has to wait."""
        return 2 * self.idle < self.chunk and self.held < self._ceiling

    def reset_s(self, now_s: float) -> float:
        """In how long the next permits are back, as far as this worker knows."""
        if self._cooling:
            return max(0.0, self._cooling[0][0] - now_s)
        return float(min(1, self.limit.period_s))

    def remaining(self) -> int:
        """How many permits can be spent, here and of those that the hub had last."""
        return self.idle + self.free

    def ask(self, now_s: float) -> PermitsAsked | None:
        """What to say to the hub: give back what nobody needed lately, ask for what may be needed.

        None while there is nothing to say.
        """
        self.has(0, now_s)
        quiet = now_s - self._spent_s > _QUIET_S
        more = back = 0
        if self.wanted or (not quiet and self.is_low()):
            more = max(0, self.wanted + self.chunk - self.idle)
        else:
            unused = self.idle if quiet else self._least_idle - self.chunk
            back = min(self.idle, max(unused, self.held - self._ceiling, 0))
        self.idle -= back
        self._least_idle = self.idle
        self.wanted = 0
        if not (self.held or more or back):
            return None
        return PermitsAsked(self.held, more)

    def retire(self) -> None:
        """Nobody spends here any more."""
        self._spent_s, self.wanted = -inf, 0

    def grant(self, lease: Lease, now_s: float, until_s: float) -> None:
        """What the hub answered: a worker that has more than its share spends no more of it."""
        self.idle = max(0, self.idle + lease.share - self.held)
        self._least_idle = min(self._least_idle, self.idle)
        self._until_s = until_s
        self.free, self._ceiling = lease.free, lease.ceiling
        self._dry_until_s = -inf if lease.free else now_s + _DRY_S
