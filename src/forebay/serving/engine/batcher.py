"""The queue of one lane: who goes to the model together.

It knows no clock, no thread and no socket, so that a property test can play it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from forebay.core.errors import Full, TooLarge

Load = TypeVar("Load")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large and how late a batch may be.

    >>> BatchLimits(batch_rows=64, queue_rows=32)
    Traceback (most recent call last):
    ValueError: a queue of 32 rows never fills a batch of 64
    """

    batch_rows: int = 64
    wait_s: float = 0.0
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
    seats: dict[int, Seat[Load]]
    rows: int


class Batcher(Generic[Load]):
    """Seats in order of arrival, one line for each shape: different shapes never share a batch."""

    def __init__(self, limits: BatchLimits) -> None:
        self.limits = limits
        self.rows = 0
        self._count = 0
        self._next = 0
        self._lines: dict[Hashable, _Line[Load]] = {}

    def __len__(self) -> int:
        return self._count

    def offer(self, rows: int, load: Load, now_s: float, shape: Hashable = None) -> Seat[Load]:
        """Queue a request of *rows* rows; raises `Full`, or `TooLarge` if it could never be queued."""
        weight = rows or 1
        if self.rows + weight > self.limits.queue_rows:
            if weight > self.limits.queue_rows:
                raise TooLarge(f"{rows} rows in one request; this model takes {self.limits.queue_rows}")
            raise Full("the model's queue is full; try again a little later", retry_after_s=1.0)
        number = self._next = self._next + 1
        seat = Seat(number, weight, load, now_s, shape)
        line = self._lines.get(shape)
        if line is None:
            self._lines[shape] = _Line({number: seat}, weight)
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

    def due_s(self) -> float | None:
        """When the next batch must leave: a full one at once; None while nobody waits."""
        if not self._lines:
            return None
        if self.rows >= self.limits.batch_rows:
            full = [line for line in self._lines.values() if line.rows >= self.limits.batch_rows]
            if full:
                return min(_oldest(line).since_s for line in full)
        return _oldest(self._next_line()).since_s + self.limits.wait_s

    def take(self) -> list[Seat[Load]]:
        """Everybody who fits in the next batch, oldest first; a request larger than a batch goes alone."""
        if not self._lines:
            return []
        line = self._next_line()
        taken = list(line.seats.values())
        if line.rows > self.limits.batch_rows:
            taken = taken[: _fitting(taken, self.limits.batch_rows)]
        self._remove(line, taken)
        return taken

    def _remove(self, line: _Line[Load], seats: list[Seat[Load]]) -> None:
        self._count -= len(seats)
        if len(seats) == len(line.seats):
            self.rows -= line.rows
            del self._lines[seats[0].shape]
            return
        weight = sum(seat.weight for seat in seats)
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


def _fitting(seats: list[Seat[Load]], room: int) -> int:
    """How many of *seats* fit; the first always does."""
    for count, seat in enumerate(seats):
        if seat.weight > room:
            return max(count, 1)
        room -= seat.weight
    return len(seats)
