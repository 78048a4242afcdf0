"""Points in time and durations, as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

_PERIODS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def period(text: str) -> timedelta | None:
    """So many seconds, minutes, hours, days or weeks; None if *text* is no such thing.

    >>> period("12h"), period("tomorrow")
    (datetime.timedelta(seconds=43200), None)
    """
    if not text[:-1].isdigit() or text[-1] not in _PERIODS or len(text) > 8:
        return None
    return timedelta(**{_PERIODS[text[-1]]: int(text[:-1])})


class Moment(click.ParamType[datetime]):
    """A point in time: ISO 8601 (UTC unless it says otherwise), or so long ago (with *ahead*: from now on).

    >>> Moment().convert("2026-11-21", None, None)
    datetime.datetime(2026, 11, 21, 0, 0, tzinfo=datetime.timezone.utc)
    """

    name = "moment"

    def __init__(self, *, ahead: bool = False) -> None:
        self._ahead = ahead

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a date, a time, or `7d`, `12h`, `30m`."""
        text = str(value)
        try:
            if (long := period(text)) is not None:
                return datetime.now(UTC) + (long if self._ahead else -long)
            found = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is no time; write 2026-11-21, 2026-11-21T12:00, 7d or 12h", param, ctx)
        return found.replace(tzinfo=found.tzinfo or UTC)


class Duration(click.ParamType[timedelta]):
    """How long: 0, 90s, 30m, 12h, 7d or 2w."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read a number with its unit."""
        if isinstance(value, timedelta):
            return value
        found = timedelta() if value == "0" else period(str(value))
        if found is None:
            self.fail(f"{value!r} is no duration; write 90s, 30m, 12h, 7d or 2w", param, ctx)
        return found
