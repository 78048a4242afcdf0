"""The port: where usage is written down before the answer leaves; and its null and memory twins."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from forebay.core import Shipment, UsageEvent

SHIPMENT_EVENTS = 1000


class Journal(Protocol):
    """Usage events on their way to the ledger.

    `append` belongs to one thread, `read` and `acknowledge` to one other.
    """

    @property
    def behind(self) -> int:
        """How many events the hub has not acknowledged."""

    def append(self, events: Sequence[UsageEvent]) -> None:
        """Keep *events*, all or none.

        Raises `StorageFull` or `Broken` when it cannot, and then none of their answers may leave.
        """

    def read(self, limit: int = SHIPMENT_EVENTS) -> Shipment | None:
        """The oldest events that are not acknowledged, at most *limit*; None if there are none."""

    def acknowledge(self, next_seq: int) -> None:
        """Let go of what the hub has: its answer to the shipment that was read last.

        A number beyond that shipment (we have shipped it before, and forgot) skips what the hub has
        already; one before it (a hub that was restored from an old copy) goes back as far as the events
        are still there. Harmless if nothing has been read.
        """

    def close(self) -> None:
        """Let go of the files; nothing is appended or read any more."""


class NoJournal:
    """For a node that nobody is billed for."""

    behind = 0

    def append(self, events: Sequence[UsageEvent]) -> None:
        pass

    def read(self, limit: int = SHIPMENT_EVENTS) -> Shipment | None:  # noqa: ARG002  # the port's parameter
        return None

    def acknowledge(self, next_seq: int) -> None:
        pass

    def close(self) -> None:
        pass


class MemoryJournal:
    """Forgets everything when its process ends."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(16)
        self._events: deque[UsageEvent] = deque()
        self._first_seq = 0

    @property
    def behind(self) -> int:
        return len(self._events)

    def append(self, events: Sequence[UsageEvent]) -> None:
        self._events.extend(events)

    def read(self, limit: int = SHIPMENT_EVENTS) -> Shipment | None:
        events = tuple(self._events[at] for at in range(min(limit, len(self._events))))
        return Shipment(self._name, self._first_seq, events) if events else None

    def acknowledge(self, next_seq: int) -> None:
        while self._events and self._first_seq < next_seq:
            self._events.popleft()
            self._first_seq += 1

    def close(self) -> None:
        self._events.clear()
