"""Limits on the way of a request: in memory, with permits that are leased beside it.

A call that finds a permit takes it and goes on. One that finds none, while the hub may have some, waits for
the next answer of the hub, at most once, and is then let in or refused; while the hub has none, or is away,
it is refused at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from math import ceil

from forebay.core import CallLimit, ForebayError, LeaseAnswer, PermitsAsked, Principal
from forebay.core.errors import OverLimit, TooLarge
from forebay.serving.engine import Outcome
from forebay.serving.usage.meter import Meter

Done = Callable[[Outcome], None]
Leave = Callable[[], None]
Begin = Callable[[Done], Leave]
Costs = Mapping[str, int]
"""What a call counts, by the unit of a limit."""
_MOST_WAIT = 1024
_AWAY_S = 0.5


class Limiter:
    """Every limit that this worker has heard of, and the calls that wait for permits."""

    def __init__(self) -> None:
        self.meters: dict[str, Meter] = {}
        self.refused: Counter[CallLimit] = Counter()
        self.hungry = asyncio.Event()
        self._of: dict[tuple[str, str, str], tuple[Meter, ...]] = {}
        self._waiting: dict[_Entry, None] = {}
        self._away_until_s = 0.0

    def apply(self, limits: tuple[CallLimit, ...]) -> None:
        """From now on these hold; permits of a limit whose amount alone has changed stay."""
        before = self.meters
        self.meters = {}
        for limit in limits:
            meter = before.get(limit.id) or Meter(limit)
            meter.limit = limit
            self.meters[limit.id] = meter
        self.refused = Counter({limit: self.refused[limit] for limit in limits if self.refused[limit]})
        self._of.clear()

    def of(self, caller: Principal, model: str) -> tuple[Meter, ...]:
        """The limits that a call of *caller* for *model* counts for."""
        if not self.meters:
            return ()
        key = (caller.project, caller.key_id, model)
        found = self._of.get(key)
        if found is None:
            found = tuple(meter for meter in self.meters.values() if _counts(meter.limit, *key))
            self._of[key] = found
        return found

    def enter(self, meters: tuple[Meter, ...], costs: Costs, begin: Begin, done: Done) -> Leave:
        """Let a call *begin* with its permits; raises `OverLimit`, or whatever *begin* raises.

        Returns what is to be called when the caller leaves.
        """
        now_s = time.monotonic()
        entry = _Entry(meters, costs, begin, done)
        lacking = entry.lacking(now_s)
        if not lacking:
            entry.start(now_s)
            self._look_ahead(meters)
            return entry.leave
        for meter in lacking:
            meter.wanted += costs[meter.limit.unit]
        dry = any(meter.is_dry(now_s) for meter in lacking)
        if dry or now_s < self._away_until_s or len(self._waiting) >= _MOST_WAIT:
            raise self._refusal(lacking[0], costs, now_s)
        self._waiting[entry] = None
        self.hungry.set()
        return lambda: self._leave(entry)

    def standing(self, caller: Principal, model: str) -> tuple[tuple[str, str], ...]:
        """Header lines of the tightest limit that the call counted for; none without limits."""
        meters = self.of(caller, model)
        if not meters:
            return ()
        return standing_of(min(meters, key=lambda one: one.remaining() / one.limit.amount), time.monotonic())

    # What the leaser calls.

    def asks(self, now_s: float) -> dict[str, PermitsAsked]:
        """What there is to say to the hub, by limit."""
        said = {name: meter.ask(now_s) for name, meter in self.meters.items()}
        return {name: ask for name, ask in said.items() if ask is not None}

    def waiting(self) -> tuple[_Entry, ...]:
        """Those who wait for the answer to what is asked now."""
        return tuple(self._waiting)

    def answered(self, answer: LeaseAnswer, asked_s: float, waiting: tuple[_Entry, ...]) -> None:
        """The hub's answer to what was asked at *asked_s*: those who waited for it go in, or away."""
        now_s = time.monotonic()
        for name, lease in answer.limits.items():
            if (meter := self.meters.get(name)) is not None:
                meter.grant(lease, now_s, asked_s + answer.ttl_s)
        self.decide(waiting)

    def away(self, waiting: tuple[_Entry, ...]) -> None:
        """The hub does not answer: what is here is all that there is."""
        self._away_until_s = time.monotonic() + _AWAY_S
        self.decide(waiting)

    def decide(self, waiting: tuple[_Entry, ...]) -> None:
        """Let in, or refuse, those who have waited, in the order in which they came."""
        now_s = time.monotonic()
        for entry in waiting:
            if entry not in self._waiting:
                continue  # the caller has left
            del self._waiting[entry]
            lacking = entry.lacking(now_s)
            try:
                if lacking:
                    raise self._refusal(lacking[0], entry.costs, now_s)
                entry.start(now_s)
            except ForebayError as error:
                entry.done(Outcome({}, error, 0, 0, 0))

    def _leave(self, entry: _Entry) -> None:
        if self._waiting.pop(entry, entry) is entry:  # it waits no more: it has begun, or was refused
            entry.leave()

    def _look_ahead(self, meters: tuple[Meter, ...]) -> None:
        for meter in meters:
            if meter.is_low() and not meter.is_dry(time.monotonic()):
                self.hungry.set()

    def _refusal(self, meter: Meter, costs: Costs, now_s: float) -> ForebayError:
        limit, cost = meter.limit, costs[meter.limit.unit]
        self.refused[limit] += 1
        if cost > limit.amount:
            return TooLarge(f"this request takes {cost} of a limit of {limit}; send it in smaller parts")
        return OverLimit(
            f"the limit of {limit} for {_scope(limit)} is used up; try again later, or ask for a higher one",
            retry_after_s=meter.reset_s(now_s),
            standing=standing_of(meter, now_s),
        )


class _Entry:
    """A call, and what it counts."""

    def __init__(self, meters: tuple[Meter, ...], costs: Costs, begin: Begin, done: Done) -> None:
        self.meters = meters
        self.costs = costs
        self.done = done
        self._begin = begin
        self._begun: Leave | None = None
        self._over = False

    def lacking(self, now_s: float) -> list[Meter]:
        """The limits whose permits do not suffice."""
        return [meter for meter in self.meters if not meter.has(self.costs[meter.limit.unit], now_s)]

    def start(self, now_s: float) -> None:
        """Spend, and begin; a call that cannot begin spends nothing."""
        for meter in self.meters:
            meter.spend(self.costs[meter.limit.unit], now_s)
        try:
            self._begun = self._begin(self._finish)
        except BaseException:
            for meter in self.meters:
                meter.undo(self.costs[meter.limit.unit])
            raise

    def leave(self) -> None:
        """The caller has left."""
        if self._begun is not None:
            self._begun()
            self._end()

    def _finish(self, outcome: Outcome) -> None:
        self._end()
        self.done(outcome)

    def _end(self) -> None:
        if not self._over:
            self._over = True
            for meter in self.meters:
                meter.end(self.costs[meter.limit.unit])


def standing_of(meter: Meter, now_s: float) -> tuple[tuple[str, str], ...]:
    """How a limit stands: the three headers that clients read, and the two of the IETF's draft 10."""
    limit, left, reset_s = meter.limit, meter.remaining(), ceil(meter.reset_s(now_s))
    window = f";w={limit.period_s}" if limit.period_s else ""
    return (
        ("ratelimit-limit", str(limit.amount)),
        ("ratelimit-remaining", str(left)),
        ("ratelimit-reset", str(reset_s)),
        ("ratelimit-policy", f'"{limit.unit}";q={limit.amount}{window}'),
        ("ratelimit", f'"{limit.unit}";r={left};t={reset_s}'),
    )


def _counts(limit: CallLimit, project: str, key_id: str, model: str) -> bool:
    return limit.project == project and limit.key_id in ("", key_id) and limit.model in ("", model)


def _scope(limit: CallLimit) -> str:
    parts = [f"the model {limit.model!r}"] if limit.model else []
    parts += ["this key"] if limit.key_id else []
    return " and ".join(parts) or "the project"
