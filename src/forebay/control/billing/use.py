"""Usage, added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Use:
    """Usage, added up; `cached` counts the requests, with `cached_rows`, that took no computing."""

    requests: int = 0
    rows: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    compute_ns: int = 0
    cached: int = 0
    cached_rows: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    audio_ms: int = 0
    energy_uj: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(*(getattr(self, name) + getattr(other, name) for name in COUNTS))

    def __sub__(self, other: Use) -> Use:
        return Use(*(getattr(self, name) - getattr(other, name) for name in COUNTS))


COUNTS = tuple(field.name for field in fields(Use))


def together(uses: Iterable[Use]) -> Use:
    """All of *uses* in one."""
    return sum(uses, Use())
