"""A usage event as a row. Whatever a node counted can be stored: one odd event holds up no other."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from forebay.core import UsageEvent

_NS_PER_DAY = 86_400 * 10**9
_DAY_ONE = date(1970, 1, 1).toordinal()
_LAST_NS = 2**63 - 1
_MOST = 10**15
_TEXT_CHARS = 500


def row_of(event: UsageEvent, journal: str, seq: int, number: int, received_at: datetime) -> dict[str, Any]:
    """The columns of *event*.

    Numbers that cannot be (below zero, or beyond a petabyte, eleven days, …) are moved to the nearest
    that can, so that sums never overflow; texts are cut after 500 characters, and what PostgreSQL cannot
    store becomes U+FFFD.
    """
    time_ns = min(max(event.time_ns, 0), _LAST_NS)
    return {
        "number": number,
        "journal": journal,
        "seq": seq,
        "time_ns": time_ns,
        "day": date.fromordinal(_DAY_ONE + time_ns // _NS_PER_DAY),
        "received_at": received_at,
        "project": _text(event.project),
        "key_id": _text(event.key_id),
        "model": _text(event.model),
        "version": _count(event.version),
        "protocol": _text(event.protocol),
        "operation": _text(event.operation),
        "rows": _count(event.rows),
        "request_bytes": _count(event.request_bytes),
        "response_bytes": _count(event.response_bytes),
        "queue_ns": _count(event.queue_ns),
        "compute_ns": _count(event.compute_ns),
        "wall_ns": _count(event.wall_ns),
        "request_id": _text(event.request_id),
    }


def _count(number: int) -> int:
    return min(max(number, 0), _MOST)


def _text(text: str) -> str:
    if len(text) <= _TEXT_CHARS and text.isascii() and "\0" not in text:
        return text
    return text[:_TEXT_CHARS].encode("utf-8", "replace").decode().replace("\0", "\ufffd")
