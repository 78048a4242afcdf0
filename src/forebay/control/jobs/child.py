"""A child process: a group of its own, events on its standard output, and an end that is certain.

The child dies with the hub: it holds the reading end of a pipe that closes when the hub is gone (and
on Linux the kernel kills it, see `forebay.control.hub.work`). It never sees a secret of the hub's.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_TICK_S = 0.1
_GRACE_S = 3.0
_READ_BYTES = 1 << 16
_LINE_BYTES = 1 << 16
_SECRET_PREFIXES = ("FOREBAY_", "DBOS", "PG")
_SECRET_WORDS = ("KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL", "DATABASE_URL")

Look = Callable[[list[Mapping[str, Any]]], None]
"""Is called with the events that have arrived (maybe none) some times a second; raises to end the child."""


class Child:
    """One child, from its start to its end."""

    def __init__(self, command: list[str], log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 (the command is ours)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_harmless(os.environ),
                start_new_session=True,
            )
        self._unread = b""

    def run(self, look: Look) -> int:
        """Hand its events to *look* until it ends; its exit code, negative for a signal.

        Whatever happens, the child and all its descendants are gone afterwards.
        """
        process = self._process
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            while (events := self._events()) is not None:
                look(events)
            while process.poll() is None:
                look([])
                time.sleep(_TICK_S)
        finally:
            self._end()
            process.stdout.close()
            process.stdin.close()
        return process.returncode

    def _events(self) -> list[Mapping[str, Any]] | None:
        """What has arrived within a tick; None when the child has closed its output."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _TICK_S)
        if not ready:
            return []
        data = os.read(self._process.stdout.fileno(), _READ_BYTES)
        if not data:
            return None
        *lines, self._unread = (self._unread + data).split(b"\n")
        self._unread = self._unread[:_LINE_BYTES]
        return [event for line in lines if (event := _event(line)) is not None]

    def _end(self) -> None:
        """Ask the group to end, then make it; a leader that ended by itself may have left others."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody of the group is left
            os.killpg(self._process.pid, number)


def describe_exit(code: int) -> str:
    """Why a child ended, for people.

    >>> describe_exit(-9)
    'was killed (SIGKILL), most likely because the machine had no memory left'
    >>> describe_exit(3)
    'ended with exit code 3'
    """
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    if name == "SIGKILL":
        return "was killed (SIGKILL), most likely because the machine had no memory left"
    return f"crashed ({name})"


def _event(line: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(line)  # unlike others it reads NaN, which a metric may be
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("kind"), str) else None


def _harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* without what might open a door."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_SECRET_PREFIXES) and not any(word in name.upper() for word in _SECRET_WORDS)
    }
