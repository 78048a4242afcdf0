"""Servers as families of processes: started, watched, counted, and ended whatever they do."""

from __future__ import annotations

import ctypes
import hashlib
import http.client
import os
import signal
import socket
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import accounting
from bench.words import CACHE, Memory, Missing

_MARKER = "BENCH_FAMILY"
_START_WAIT_S = 60.0
_END_WAIT_S = 5.0
_QUIET_WINDOW_S = 0.25
_QUIET_SHARE = 0.04
_PR_SET_CHILD_SUBREAPER = 36


class Family:
    """Every process that descends from one command, however it has detached itself.

    They are found by a mark in their environment: of this folder's benchmarks, and of this one family.
    """

    def __init__(self, mark: str = "") -> None:
        self._mark = mark or f"{_mark_of_all()}{uuid.uuid4().hex}"
        self._known: dict[int, accounting.Process] = {}
        self.idle: dict[str, float] = {}
        self.first = 0

    @property
    def environment(self) -> dict[str, str]:
        """What a command has to be started with to belong to this family."""
        name, _, value = self._mark.partition("=")
        return {name: value}

    def members(self) -> dict[int, accounting.Process]:
        """Who lives now."""
        self._known = accounting.family(self._known, self._mark)
        return self._known

    def cpu_s(self) -> float:
        """CPU seconds of all members so far."""
        return sum(each.cpu_s for each in self.members().values())

    def cpu_by_part(self) -> Counter[str]:
        """CPU seconds so far by what each member is."""
        parts: Counter[str] = Counter()
        for pid, process in self.members().items():
            parts[_part(pid, process.name)] += process.cpu_s  # type: ignore[assignment]  # seconds are counted
        return parts

    def memory(self, part: str = "") -> Memory:
        """What all members hold now, or those that are *part*."""
        members = self.members().items()
        return accounting.memory_of({pid for pid, each in members if part in ("", _part(pid, each.name))})

    def settle(self, within_s: float, quiet_s: float = _QUIET_WINDOW_S) -> None:
        """Wait until the members do no more, for *quiet_s*, than they do when nobody asks.

        Give up after *within_s*.
        """
        give_up_at = time.monotonic() + within_s
        before, at_s = self.cpu_s(), time.monotonic()
        quiet_since_s = at_s
        while at_s < give_up_at and at_s - quiet_since_s < quiet_s:
            time.sleep(_QUIET_WINDOW_S)
            now, now_s = self.cpu_s(), time.monotonic()
            if (now - before) / (now_s - at_s) > self.idle_share + _QUIET_SHARE:
                quiet_since_s = now_s
            before, at_s = now, now_s

    def learn_idle(self, seconds: float) -> None:
        """Learn which share of a core each part takes while nobody asks: `idle`."""
        before = self.cpu_by_part()
        time.sleep(seconds)
        after = self.cpu_by_part()
        self.idle = {part: max(0.0, after[part] - before[part]) / seconds for part in after}

    @property
    def idle_share(self) -> float:
        """The share of a core that all members take while nobody asks."""
        return sum(self.idle.values())

    def end(self) -> None:
        """Ask everybody to leave, then make them."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._living():
                _send(pid, number)
            give_up_at = time.monotonic() + _END_WAIT_S
            while time.monotonic() < give_up_at:
                if not self._living():
                    self._bury()
                    return
                time.sleep(0.05)

    def _bury(self) -> None:
        """Take leave of the orphans that we have inherited; their own parents would have."""
        for pid, process in self.members().items():
            if process.parent == os.getpid() and pid != self.first:
                os.waitpid(pid, os.WNOHANG)

    def _living(self) -> list[int]:
        return [pid for pid, process in self.members().items() if process.state not in "ZX"]


@contextmanager
def started(
    name: str, command: Sequence[str], environ: Mapping[str, str], folder: Path, family: Family
) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command* in *folder* as the first of *family*; all of it is over when the block ends."""
    log = log_of(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        first = subprocess.Popen(
            command,
            env={**os.environ, **environ, **family.environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    family.first = first.pid
    try:
        yield first
    finally:
        family.end()
        first.wait(_END_WAIT_S)


def end_leftovers() -> None:
    """End what a benchmark of this folder has left running when it was killed itself."""
    Family(_mark_of_all()).end()


def _mark_of_all() -> str:
    return f"{_MARKER}={hashlib.sha256(str(CACHE).encode()).hexdigest()[:12]}-"


def inherit_orphans() -> None:
    """Become the parent of every process whose own parent, below us, has died (see prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def log_of(name: str) -> Path:
    """Where *name* writes what it has to say."""
    return CACHE / "logs" / f"{name}.log"


def wait_answering(first: subprocess.Popen[bytes], name: str, port: int, path: str) -> None:
    """Until GET *path* answers without a server error; raises `Missing` with the end of the log."""
    give_up_at = time.monotonic() + _START_WAIT_S
    while time.monotonic() < give_up_at:
        if first.poll() is not None:
            raise Missing(f"{name} ended at once with {first.returncode}: {last_words(name)}")
        if _status(port, path) < 500:
            return
        time.sleep(0.1)
    raise Missing(f"{name} did not answer within {_START_WAIT_S:g} s: {last_words(name)}")


def wait_listening(first: subprocess.Popen[bytes], name: str, port: int) -> None:
    """Until somebody listens on *port*; raises `Missing`."""
    give_up_at = time.monotonic() + _START_WAIT_S
    while time.monotonic() < give_up_at:
        if first.poll() is not None:
            raise Missing(f"{name} ended at once with {first.returncode}: {last_words(name)}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise Missing(f"{name} did not listen within {_START_WAIT_S:g} s: {last_words(name)}")


def last_words(name: str) -> str:
    """The last line that says something in the log of *name*."""
    log = log_of(name)
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "it said nothing")


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 599
    finally:
        connection.close()


def _part(pid: int, name: str) -> str:
    """`node` for `python -m forebay node …`, otherwise the process's own name."""
    words = accounting.command_of(pid)
    if "forebay" in words[:-1]:
        return words[words.index("forebay") + 1]
    return name


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
