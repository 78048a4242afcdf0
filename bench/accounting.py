"""What the kernel says about processes: CPU time, memory, kinship. See proc(5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.words import Memory

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc. `cpu_s` includes the children that it has already buried."""

    pid: int
    name: str
    state: str
    parent: int
    session: int
    started: int
    cpu_s: float


def parse_stat(text: str) -> Process:
    """Read /proc/PID/stat; the name may hold anything, even spaces and brackets.

    >>> parse_stat("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 150 50 25 25 20 0 1 0 99 0 0").cpu_s
    2.5
    """
    opening, closing = text.index("("), text.rindex(")")
    fields = text[closing + 2 :].split()
    return Process(
        pid=int(text[:opening]),
        name=text[opening + 1 : closing],
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        cpu_s=sum(map(int, fields[11:15])) / _TICKS,
    )


def parse_rollup(text: str) -> Memory:
    """Read /proc/PID/smaps_rollup."""
    kib = {key: int(value.split()[0]) for key, _, value in _pairs(text) if value.endswith("kB")}
    return Memory(kib["Rss"] << 10, kib["Pss"] << 10)


def processes() -> dict[int, Process]:
    """Every process that runs now."""
    found = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (text := _read(entry / "stat")):
            found[int(entry.name)] = parse_stat(text)
    return found


def memory_of(pids: set[int]) -> Memory:
    """What *pids* hold together; who has left holds nothing."""
    read = [parse_rollup(text) for pid in pids if (text := _read(_PROC / str(pid) / "smaps_rollup"))]
    return Memory(sum(each.resident_bytes for each in read), sum(each.proportional_bytes for each in read))


def environment_of(pid: int) -> str:
    """The environment that *pid* was started with; empty when it is gone or somebody else's."""
    return _read(_PROC / str(pid) / "environ")


def command_of(pid: int) -> list[str]:
    """The command line of *pid*."""
    return _read(_PROC / str(pid) / "cmdline").split("\0")


def family(known: dict[int, Process], marker: str) -> dict[int, Process]:
    """The processes that carry *marker*, their descendants, and all who share a session with one of those.

    *known* are members seen before: one who renames itself over its environment stays in the family.
    """
    everybody = processes()
    sons = {
        pid
        for pid, process in everybody.items()
        if (pid in known and known[pid].started == process.started) or marker in environment_of(pid)
    }
    while True:
        sessions = {everybody[pid].session for pid in sons if everybody[pid].session in sons}
        more = {
            pid
            for pid, process in everybody.items()
            if pid not in sons and (process.parent in sons or process.session in sessions)
        }
        if not more:
            return {pid: everybody[pid] for pid in sons}
        sons |= more


def busy_s() -> float:
    """CPU seconds that the whole machine has worked since it started."""
    fields = [int(field) for field in (_PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / _TICKS


def _pairs(text: str) -> Iterator[tuple[str, str, str]]:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        yield key, colon, value.strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it ended meanwhile
        return ""
