"""One inference, whatever door it came by: a seat in the lane, and the usage event of its answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from types import MappingProxyType

from forebay.core import Principal, UsageEvent
from forebay.serving.engine import Outcome
from forebay.serving.node.limiting import Limiter
from forebay.serving.node.routing import Served
from forebay.serving.wire import Answer, Call
from forebay.serving.wire.classes import in_classes

_REQUEST_ID_BYTES = 128
CACHE_STATUS = MappingProxyType(
    {
        "hit": "forebay; hit",
        "stored": "forebay; fwd=miss; stored",
        "passed": "forebay; fwd=miss",
        "shared": "forebay; fwd=miss; collapsed",
        "bypassed": "forebay; fwd=bypass",
    }
)
"""What RFC 9211 calls each use of a cache."""


def ask(
    limiter: Limiter,
    caller: Principal,
    served: Served,
    call: Call,
    size: int,
    began_s: float,
    wait_s: float,
    done: Callable[[Outcome], None],
    cache_control: bytes | None = None,
) -> Callable[[], None]:
    """Give *call*, of a body of *size* bytes, a seat; returns what frees it when the caller leaves.

    Raises `OverLimit` where a limit of the *caller*, or of the model, is used up. *wait_s* is the longest
    that the node lets anybody wait, counted from *began_s*. *cache_control* is what the caller said of caches
    (RFC 9111): `no-cache` wants an answer that is computed now, `no-store` one that is not kept either.
    """
    if call.bf16 or served.bf16_in:
        served.check_bf16(call.bf16)
    if call.timeout_s is not None:
        wait_s = min(wait_s, call.timeout_s)
    meters = limiter.of(caller, served.model)
    if not meters:
        return _seated(served, call, began_s + wait_s, cache_control, done)
    rows = served.lane.signature.check(call.inputs)
    costs = {"request": 1, "row": rows, "byte": size, "concurrent": 1}
    return limiter.enter(meters, costs, partial(_seated, served, call, began_s + wait_s, cache_control), done)


def _seated(
    served: Served,
    call: Call,
    deadline_s: float,
    cache_control: bytes | None,
    done: Callable[[Outcome], None],
) -> Callable[[], None]:
    lane = served.lane
    if lane.cache is not None:
        said = b"" if cache_control is None else cache_control.lower()
        if b"no-store" in said:
            return lane.cache.bypass(call.inputs, done, deadline_s)
        return lane.cache.ask(call.inputs, done, deadline_s, fresh=b"no-cache" in said)
    seat = lane.submit(call.inputs, done, deadline_s)
    return lambda: lane.withdraw(seat)


def answer_of(served: Served, call: Call, outcome: Outcome) -> Answer:
    """What the model said, as a protocol writes it; raises `Malformed` for classes of what has no numbers."""
    if call.classes:
        found = in_classes(outcome.outputs, call.classes, served.lane.signature, served.bf16_out)
        bits = tuple(name for name in served.bf16_out if name not in call.classes)
        return Answer(served.model, str(served.version), found, call.id, bits)
    return Answer(served.model, str(served.version), outcome.outputs, call.id, served.bf16_out)


def usage_of(
    caller: Principal,
    served: Served,
    protocol: str,
    outcome: Outcome,
    *,
    request_bytes: int,
    response_bytes: int,
    began_s: float,
    request_id: bytes,
) -> UsageEvent:
    """What is written down, and counted, before the answer leaves."""
    wall_s = time.monotonic() - began_s
    served.lane.stats.request.observe(wall_s)
    return UsageEvent(
        time_ns=time.time_ns(),
        project=caller.project,
        key_id=caller.key_id,
        model=served.model,
        version=served.version,
        protocol=protocol,
        operation="infer",
        rows=outcome.rows,
        request_bytes=request_bytes,
        response_bytes=response_bytes,
        queue_ns=outcome.queue_ns,
        compute_ns=outcome.compute_ns,
        wall_ns=int(wall_s * 1e9),
        request_id=request_id[:_REQUEST_ID_BYTES].decode("latin-1"),
        cached=outcome.cached,
    )
