"""The port: where usage is written down before the answer leaves; and its null and memory twins."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

from forebay.core import Frame, Shipment, UsageEvent
from forebay.core.frames import encode_frame

SHIPMENT_EVENTS = 8192
"""How many events travel together, at most: half a megabyte."""


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
        """The oldest frames that are not acknowledged, as they were written; None if there are none.

        They have at most *limit* events together, unless the first one alone has more; its first events
        may be acknowledged already.
        """

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
        self._frames: deque[Frame] = deque()
        self._next_seq = self._acknowledged = 0

    @property
    def behind(self) -> int:
        return self._next_seq - self._acknowledged

    def append(self, events: Sequence[UsageEvent]) -> None:
        if events:
            data = memoryview(encode_frame(self._next_seq, events))
            self._frames.append(Frame(self._next_seq, len(events), data))
            self._next_seq += len(events)

    def read(self, limit: int = SHIPMENT_EVENTS) -> Shipment | None:
        ends = accumulate(frame.size for frame in self._frames)
        run = [
            frame.data
            for at, (frame, end) in enumerate(zip(self._frames, ends, strict=True))
            if at == 0 or end <= limit
        ]
        return Shipment(self._name, b"".join(run)) if run else None

    def acknowledge(self, next_seq: int) -> None:
        self._acknowledged = max(self._acknowledged, min(next_seq, self._next_seq))
        while self._frames and self._frames[0].end_seq <= self._acknowledged:
            self._frames.popleft()

    def close(self) -> None:
        self._frames.clear()
