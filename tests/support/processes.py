"""What the operating system says of other processes (Linux)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def children_of(pid: int) -> list[int]:
    """Processes that *pid* has started and that have not been taken leave of."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            found += map(int, (task / "children").read_text().split())
    return sorted(found)


def resident_bytes(pid: int) -> int:
    """The resident memory of *pid*."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def open_files(pid: int) -> int:
    """How many files and sockets *pid* has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads_of(pid: int) -> int:
    """How many threads *pid* has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
