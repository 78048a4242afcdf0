"""What this machine, or the container that this process runs in, has to compute with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_UNLIMITED = 1 << 60  # version 1 writes "no limit" as the largest number of whole pages
_PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores and memory that may be used, and how many there would be without limits."""

    cores: int
    memory_bytes: int
    all_cores: int
    all_memory_bytes: int

    def __str__(self) -> str:
        """In a line.

        >>> print(Machine(2, 4 << 30, 8, 16 << 30))
        2 of 8 cores, 4.0 of 16.0 GB of memory
        >>> print(Machine(2, 16 << 30, 2, 16 << 30))
        2 cores, 16.0 GB of memory
        """
        cores = "1 core" if self.all_cores == 1 else f"{self.all_cores} cores"
        if self.cores != self.all_cores:
            cores = f"{self.cores} of {cores}"
        memory = f"{self.all_memory_bytes / 2**30:.1f} GB of memory"
        if self.memory_bytes != self.all_memory_bytes:
            memory = f"{self.memory_bytes / 2**30:.1f} of {memory}"
        return f"{cores}, {memory}"


def machine(root: Path = Path("/"), allowed_cores: int | None = None) -> Machine:
    """Look at the cores that this process may be put on, at its memory, and at what its container leaves.

    *allowed_cores* says how many those are where that is not to be asked. Control groups of both versions
    are read below *root*, with all the groups above this process's own. A quota of 2.5 cores gives 2
    threads: a third would spend its time being throttled.
    """
    everything = os.cpu_count() or 1
    allowed = _allowed_cores() if allowed_cores is None else allowed_cores
    groups = list(_groups(root))
    quota = min((quota for group in groups if (quota := _quota(group))), default=float("inf"))
    physical = _physical_bytes(root)
    limit = min((limit for group in groups if (limit := _limit_bytes(group))), default=physical)
    return Machine(
        cores=max(1, int(min(allowed, quota))),
        memory_bytes=min(physical, limit),
        all_cores=max(everything, allowed),
        all_memory_bytes=physical,
    )


def _allowed_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _physical_bytes(root: Path) -> int:
    for line in _lines(root / "proc/meminfo"):
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(root: Path) -> Iterator[Path]:
    """The folders of every control group that this process is in, its own and those above.

    In a container the path that /proc tells is often the host's, which is not to be seen: then the mount
    itself is the container's group.
    """
    mounts = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = line.split(":", 2)
        group = PurePosixPath(path.lstrip("/"))
        if number == "0":
            bases = [mounts, mounts / "unified"]
        else:
            bases = [mounts / controllers, *(mounts / each for each in controllers.split(","))]
        for base in dict.fromkeys(bases):
            yield from (base / each for each in (group, *group.parents))


def _quota(group: Path) -> float:
    """Cores' worth of time that *group* may use; 0 for no limit."""
    words = _first(group / "cpu.max").split()
    if not words:
        words = [_first(group / "cpu.cfs_quota_us"), _first(group / "cpu.cfs_period_us")]
    quota, period = _number(words[0]), _number(words[1] if len(words) > 1 else "")
    return quota / (period or _PERIOD_US)


def _limit_bytes(group: Path) -> int:
    """Memory that *group* may use; 0 for no limit."""
    text = _first(group / "memory.max") or _first(group / "memory.limit_in_bytes")
    limit = _number(text)
    return limit if limit < _UNLIMITED else 0


def _number(text: str) -> int:
    """What a control file says; 0 for "max", for -1, and for nothing."""
    return int(text) if text.isdigit() else 0


def _first(file: Path) -> str:
    return next(iter(_lines(file)), "")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except OSError:  # there is no such file here, and that means no limit
        return []
