"""Usage events: one for each billable request."""

from __future__ import annotations

import msgspec


class UsageEvent(msgspec.Struct, frozen=True, array_like=True):
    """One answered request, as a node writes it down before the answer leaves.

    Times are integers in nanoseconds; `time_ns` is UTC since 1970 and only a stamp: durations come
    from a clock that never jumps. New fields are added at the end, with a default, so that old
    journals stay readable.
    """

    time_ns: int
    project: str
    key_id: str
    model: str
    version: int
    protocol: str
    operation: str
    rows: int
    request_bytes: int
    response_bytes: int
    queue_ns: int
    compute_ns: int
    wall_ns: int
    request_id: str = ""


class Shipment(msgspec.Struct, frozen=True):
    """A run of events out of one journal; event *i* has the sequence number `first_seq + i`.

    `(journal, sequence number)` is the event's identity wherever it is stored: shipping twice
    counts once.
    """

    journal: str
    first_seq: int
    events: tuple[UsageEvent, ...]
