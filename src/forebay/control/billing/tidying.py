"""What a node counted, as it can be added up and stored: one odd event holds up no other."""

from __future__ import annotations

import msgspec

from forebay.core import UsageEvent

LAST_NS = 2**63 - 1
MOST = 10**15
"""A petabyte, eleven days in nanoseconds; more than that in one request is an error of whoever counted."""
_TEXT_CHARS = 100
_FIELDS = UsageEvent.__struct_fields__


def tidy(event: UsageEvent) -> UsageEvent:
    """*event* with every field moved to the nearest value that can be; itself, as a rule."""
    was = {name: getattr(event, name) for name in _FIELDS}
    fields = {name: tidy_value(value) for name, value in was.items()}
    fields["time_ns"] = min(max(event.time_ns, 0), LAST_NS)
    return event if fields == was else msgspec.structs.replace(event, **fields)


def tidy_value(value: int | str) -> int | str:
    """A number from 0 to `MOST`; a text that PostgreSQL can store, of 100 characters at most (names: 63)."""
    if isinstance(value, int):
        return min(max(value, 0), MOST)
    if len(value) <= _TEXT_CHARS and "\0" not in value:
        return value
    return value[:_TEXT_CHARS].replace("\0", "\ufffd")
