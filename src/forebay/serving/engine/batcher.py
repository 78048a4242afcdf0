"""The queue of one lane: who goes to the model together.

It knows no clock, no thread and no socket, so that a property test can play it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

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


class Seat(NamedTuple, Generic[Load]):
    """One request in the queue. An empty request (0 rows) still weighs one."""

    number: int
    weight: int
    load: Load
    since_s: float


class Batcher(Generic[Load]):
    """Seats in order of arrival, one line for each shape: different shapes never share a batch.

    Seat numbers grow with arrival; the caller deals them.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self.limits = limits
        self.waiting_rows = 0
        self._lines: dict[Hashable, dict[int, Seat[Load]]] = {}
        self._line_of: dict[int, Hashable] = {}

    def __len__(self) -> int:
        return len(self._line_of)

    def offer(self, number: int, rows: int, load: Load, now_s: float, shape: Hashable = None) -> None:
        """Queue a request of *rows* rows; raises `Full`, or `TooLarge` if it could never be queued."""
        weight = rows or 1
        if self.waiting_rows + weight > self.limits.queue_rows:
            if weight > self.limits.queue_rows:
                raise TooLarge(f"{rows} rows in one request; this model takes {self.limits.queue_rows}")
            raise Full("the model's queue is full; try again a little later", retry_after_s=1.0)
        line = self._lines.get(shape)
        if line is None:
            line = self._lines[shape] = {}
        line[number] = Seat(number, weight, load, now_s)
        self._line_of[number] = shape
        self.waiting_rows += weight

    def withdraw(self, number: int) -> bool:
        """The caller has left; harmless (and False) once the seat has been taken."""
        if number not in self._line_of:
            return False
        self._remove(number)
        return True

    def due_s(self) -> float | None:
        """When the next batch must leave: a full one at once; None while nobody waits."""
        if not self._lines:
            return None
        if self.waiting_rows >= self.limits.batch_rows:
            full = [line for line in self._lines.values() if _weight(line) >= self.limits.batch_rows]
            if full:
                return min(_oldest(line).since_s for line in full)
        return _oldest(self._next_line()).since_s + self.limits.wait_s

    def take(self) -> list[Seat[Load]]:
        """Everybody who fits in the next batch, oldest first; a request larger than a batch goes alone."""
        if not self._lines:
            return []
        taken: list[Seat[Load]] = []
        room = self.limits.batch_rows
        for seat in self._next_line().values():
            if taken and seat.weight > room:
                break
            taken.append(seat)
            room -= seat.weight
            if room <= 0:
                break
        for seat in taken:
            self._remove(seat.number)
        return taken

    def _remove(self, number: int) -> None:
        shape = self._line_of.pop(number)
        line = self._lines[shape]
        self.waiting_rows -= line.pop(number).weight
        if not line:
            del self._lines[shape]

    def _next_line(self) -> dict[int, Seat[Load]]:
        """The line whose oldest seat came first: nobody is overtaken for ever."""
        if len(self._lines) == 1:
            return next(iter(self._lines.values()))
        return min(self._lines.values(), key=lambda line: next(iter(line)))


def _oldest(line: dict[int, Seat[Load]]) -> Seat[Load]:
    return next(iter(line.values()))


def _weight(line: dict[int, Seat[Load]]) -> int:
    return sum(seat.weight for seat in line.values())
