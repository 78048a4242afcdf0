"""Months as bills know them: of one time zone, from midnight to midnight."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from forebay.core.errors import Malformed

Span: TypeAlias = tuple[int, int]
"""Nanoseconds (or hours) from the first up to before the second."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class Month(NamedTuple):
    """A calendar month in *zone*.

    >>> Month.of(datetime(2026, 3, 1, 0, 30, tzinfo=UTC), ZoneInfo("America/New_York")).name
    '2026-02'
    """

    year: int
    month: int
    zone: ZoneInfo

    @classmethod
    def of(cls, moment: datetime, zone: ZoneInfo) -> Month:
        """The month that *moment* is in."""
        local = moment.astimezone(zone)
        return cls(local.year, local.month, zone)

    @classmethod
    def named(cls, name: str, zone: ZoneInfo) -> Month:
        """The month that is written *name*, as `2026-11`; raises `Malformed`."""
        found = _NAME.fullmatch(name)
        if found is None or not 1970 <= int(found[1]) < 2262:
            raise Malformed(f"{name[:20]!r} is no month; write it as in 2026-11")
        return cls(int(found[1]), int(found[2]), zone)

    @property
    def name(self) -> str:
        """As it is written."""
        return f"{self.year:04}-{self.month:02}"

    @property
    def next(self) -> Month:
        """The month after."""
        return Month(self.year + self.month // 12, self.month % 12 + 1, self.zone)

    @property
    def start(self) -> datetime:
        """Its first moment, in UTC."""
        return datetime(self.year, self.month, 1, tzinfo=self.zone).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """The first moment of the next, in UTC."""
        return self.next.start

    def until(self, last: Month) -> Iterator[Month]:
        """This month and those after it, up to *last*, which is among them."""
        found = self
        while (found.year, found.month) <= (last.year, last.month):
            yield found
            found = found.next


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name; raises `Malformed`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Malformed(f"{name[:40]!r} is no time zone; write one as in UTC or Europe/Berlin") from None


def ns_of(moment: datetime) -> int:
    """Nanoseconds since 1970; a naive moment is UTC."""
    since_epoch = (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment) - _EPOCH
    return since_epoch // timedelta(microseconds=1) * 1000


def moment_of(ns: int) -> datetime:
    """The moment of so many nanoseconds since 1970, to the microsecond."""
    return _EPOCH + timedelta(microseconds=ns // 1000)
