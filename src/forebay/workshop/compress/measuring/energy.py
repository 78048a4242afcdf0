"""Joules: read from the processor where that is allowed, and estimated from busy cores otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CORE_WATTS = 8.0
"""What a busy core of a server draws, roughly; for comparisons, and no promise."""

_COUNTERS = Path("/sys/class/powercap")


class Spent:
    """What a stretch of work took."""

    joules: float = 0.0


class Meter:
    """Reads RAPL's counters of whole packages, if there are any that may be read."""

    def __init__(self, counters: Path = _COUNTERS) -> None:
        self._files = [path for path in sorted(counters.glob("intel-rapl:?/energy_uj")) if _readable(path)]

    @property
    def method(self) -> str:
        """How joules are found here."""
        return "counted (RAPL)" if self._files else f"estimated ({CORE_WATTS:g} W for each busy core)"

    @contextmanager
    def running(self) -> Iterator[Spent]:
        """Measure what happens inside."""
        spent, counted, worked_s = Spent(), self._counted(), time.process_time()
        yield spent
        if self._files:
            spent.joules = max(0, self._counted() - counted) / 1e6
        else:
            spent.joules = (time.process_time() - worked_s) * CORE_WATTS

    def _counted(self) -> int:
        return sum(int(path.read_text()) for path in self._files)


def _readable(path: Path) -> bool:
    try:
        int(path.read_text())
    except (OSError, ValueError):
        return False
    return True
