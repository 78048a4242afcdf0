"""Usage events: one for each billable request."""

from __future__ import annotations

import msgspec


class UsageEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One answered request, as a node writes it down before the answer leaves.

    Times are integers in nanoseconds; `time_ns` is UTC since 1970 and only a stamp: durations come
    from a clock that never jumps. New fields are added at the end, with a default, so that old
    journals and the ledger stay readable. `energy_uj` counts microjoules; what was not counted is 0.
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
    cached: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    audio_ms: int = 0
    energy_uj: int = 0
    device: str = "cpu"
