"""The queue of one lane: who goes to the model together, and when.

It knows no clock, no thread and no socket, so that a property test can play it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from forebay.core.errors import Full, TooLarge
from forebay.serving.engine.pace import Pace

_PACES = 64
_ROW_SHARE = 0.1
Load = TypeVar("Load")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large a batch may be, and how long a free model may be kept waiting for more of it.

    >>> BatchLimits(batch_rows=64, queue_rows=32)
    Traceback (most recent call last):
    ValueError: a queue of 32 rows never fills a batch of 64
    """

    batch_rows: int = 64
    wait_s: float = 0.002
    queue_rows: int = 4096

    def __post_init__(self) -> None:
        if self.batch_rows < 1 or self.wait_s < 0:
            raise ValueError("a batch has at least one row and waits no negative time")
        if self.queue_rows < self.batch_rows:
            raise ValueError(f"a queue of {self.queue_rows} rows never fills a batch of {self.batch_rows}")


class Seat(msgspec.Struct, Generic[Load], gc=False, eq=False):
    """One request in the queue: *weight* is its rows, or 1 for an empty one."""

    number: int
    weight: int
    load: Load
    since_s: float
    shape: Hashable


class _Line(msgspec.Struct, Generic[Load], eq=False):
    """Who waits with one shape. `hoped_rows` hope for company until `hoped_s`."""

    seats: dict[int, Seat[Load]]
    rows: int
    pace: Pace
    hoped_rows: int = 0
    hoped_s: float = 0.0


class Batcher(Generic[Load]):
    """Seats in order of arrival, one line for each shape: different shapes never share a batch."""

    def __init__(self, limits: BatchLimits, first_s: float = 0.0) -> None:
        """*first_s* is a first guess at the cost of a batch of one row."""
        self.limits = limits
        self.rows = 0
        self.row_s = first_s
        self._first_s = first_s
        self._free_s = 0.0
        self._count = 0
        self._next = 0
        self._lines: dict[Hashable, _Line[Load]] = {}
        self._paces: dict[Hashable, Pace] = {}

    def __len__(self) -> int:
        return self._count

    def offer(self, rows: int, load: Load, now_s: float, shape: Hashable = None) -> Seat[Load]:
        """Queue a request of *rows* rows; raises `Full`, or `TooLarge` if it could never be queued."""
        weight = rows or 1
        if self.rows + weight > self.limits.queue_rows:
            if weight > self.limits.queue_rows:
                raise TooLarge(f"{rows} rows in one request; this model takes {self.limits.queue_rows}")
            raise Full("the model's queue is full; try again a little later", retry_after_s=self.drain_s)
        number = self._next = self._next + 1
        seat = Seat(number, weight, load, now_s, shape)
        line = self._lines.get(shape)
        if line is None:
            self._lines[shape] = _Line({number: seat}, weight, self._pace_of(shape))
        else:
            line.seats[number] = seat
            line.rows += weight
        self.rows += weight
        self._count += 1
        return seat

    def withdraw(self, seat: Seat[Load]) -> bool:
        """The caller has left; harmless (and False) once the seat has been taken."""
        line = self._lines.get(seat.shape)
        if line is None or seat.number not in line.seats:
            return False
        self._remove(line, [seat])
        return True

    @property
    def drain_s(self) -> float:
        """How long the model is going to need for those who wait."""
        most = self.limits.batch_rows
        return sum(line.rows * line.pace.row_s(min(line.rows, most)) for line in self._lines.values())

    def sure_s(self) -> float:
        """How long those who wait are going to take at the least; 0.0 where that would be a guess."""
        most = self.limits.batch_rows
        for line in self._lines.values():
            if not line.pace.knows(min(line.rows, most), line.rows // len(line.seats)):
                return 0.0
        return self.drain_s

    def due_s(self, now_s: float) -> float | None:
        """When the next batch leaves, unless somebody comes before; None while nobody waits.

        While the model is free, nobody waits for company longer than the limits say, nor when that costs
        more than it gains, nor while requests of another shape could be computed.
        """
        lines = self._lines
        if not lines:
            return None
        wait_s = self.limits.wait_s
        if not wait_s or len(lines) > 1:
            return now_s
        line = next(iter(lines.values()))
        if line.hoped_rows != line.rows:
            line.hoped_rows = line.rows
            most, waiting = self.limits.batch_rows, len(line.seats)
            line.hoped_s = now_s + line.pace.hope_s(line.rows, most, waiting, now_s)
        return min(line.hoped_s, max(_oldest(line).since_s, self._free_s) + wait_s)

    def take(self) -> list[Seat[Load]]:
        """Everybody who fits in the next batch, oldest first; a request larger than a batch goes alone."""
        if not self._lines:
            return []
        line = self._next_line()
        taken = list(line.seats.values())
        room = line.pace.size(line.rows, self.limits.batch_rows)
        if line.rows > room:
            taken = taken[: _fitting(taken, room)]
        self._remove(line, taken)
        others = 0 if len(taken) == 1 else _weight(taken) - taken[0].weight
        line.pace.leave([seat.since_s for seat in taken], others)
        return taken

    def spent(self, seats: list[Seat[Load]], cost_s: float, now_s: float) -> None:
        """The model has answered *seats*, which had gone together, in *cost_s*."""
        shape, rows = seats[0].shape, _weight(seats)
        line = self._lines.get(shape)
        pace = self._pace_of(shape) if line is None else line.pace
        if line is None:
            pace.spent(rows, cost_s, 0)
            pace.ended(0, now_s)
        else:
            pace.spent(rows, cost_s, line.rows)
            pace.ended(len(line.seats), now_s)
        self._free_s = now_s
        self.row_s += _ROW_SHARE * (cost_s / rows - self.row_s)

    def cost_s(self, seats: list[Seat[Load]]) -> float:
        """What *seats* are going to cost if they go together."""
        return self._pace_of(seats[0].shape).cost_s(_weight(seats))

    def _pace_of(self, shape: Hashable) -> Pace:
        pace = self._paces.get(shape)
        if pace is None:
            if len(self._paces) >= _PACES:  # shapes come from callers: remember the last ones only
                del self._paces[next(iter(self._paces))]
            pace = self._paces[shape] = Pace(self._first_s)
        return pace

    def _remove(self, line: _Line[Load], seats: list[Seat[Load]]) -> None:
        self._count -= len(seats)
        if len(seats) == len(line.seats):
            self.rows -= line.rows
            del self._lines[seats[0].shape]
            return
        weight = _weight(seats)
        for seat in seats:
            del line.seats[seat.number]
        line.rows -= weight
        self.rows -= weight

    def _next_line(self) -> _Line[Load]:
        """The line whose oldest seat came first: nobody is overtaken for ever."""
        if len(self._lines) == 1:
            return next(iter(self._lines.values()))
        return min(self._lines.values(), key=lambda line: _oldest(line).number)


def _oldest(line: _Line[Load]) -> Seat[Load]:
    return next(iter(line.seats.values()))


def _weight(seats: list[Seat[Load]]) -> int:
    return seats[0].weight if len(seats) == 1 else sum([seat.weight for seat in seats])


def _fitting(seats: list[Seat[Load]], room: int) -> int:
    """How many of *seats* fit; the first always does."""
    for count, seat in enumerate(seats):
        if seat.weight > room:
            return max(count, 1)
        room -= seat.weight
    return len(seats)
