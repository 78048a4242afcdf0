"""Moments as callers write them."""

from __future__ import annotations

from datetime import UTC, datetime


def in_utc(moment: datetime | None) -> datetime | None:
    """*moment* in UTC, which a naive one is already."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
