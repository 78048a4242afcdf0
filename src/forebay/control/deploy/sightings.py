"""For how long somebody has been silent, when the clock on the wall may jump."""

from __future__ import annotations

from datetime import datetime


class Sightings:
    """When each name was last heard of.

    Another hub may have heard it, so the stamp in the database counts; but only once: from then on a
    clock that never jumps tells how long the same stamp has stood there. So neither a jump forward makes
    everybody look dead, nor one back makes the dead look alive for longer than if they had just reported.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[datetime, float]] = {}

    def heard(self, name: str, stamp: datetime, now_s: float) -> None:
        """*name* has reported here, and *stamp* was written down; *now_s* never jumps."""
        self._last[name] = (stamp, now_s)

    def forget(self, name: str) -> None:
        """*name* is no longer asked for."""
        self._last.pop(name, None)

    def silent_s(self, name: str, stamp: datetime, now: datetime, now_s: float) -> float:
        """Seconds since *name* was heard of, if *stamp* is what stands in the database."""
        known = self._last.get(name)
        if known is None or known[0] != stamp:
            age_s = (now - stamp).total_seconds()
            known = self._last[name] = (stamp, now_s - max(0.0, age_s))
        return now_s - known[1]
