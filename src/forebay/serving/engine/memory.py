"""What a process takes of the machine's memory, and what its models may."""

from __future__ import annotations

import os
from pathlib import Path

from forebay.serving.runtime.machine import machine

_SHARE = 0.6


def resident_bytes() -> int:
    """The resident memory of this process; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def budget_for(processes: int) -> int:
    """What the models of one of *processes* may take, where nobody says: three fifths of it all, shared."""
    return int(machine().memory_bytes * _SHARE) // processes
