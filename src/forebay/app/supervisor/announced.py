"""Hears from a child itself that it is ready, as systemd does.

Several nodes share one port: who asks there does not know which of them has answered.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_LONGEST_MESSAGE = 4096


class Announced:
    """Whether the child that was started with `environ` has said `READY=1`; ask as often as you like."""

    def __init__(self, door: socket.socket) -> None:
        self.environ = {"NOTIFY_SOCKET": door.getsockname()}
        self._door = door
        self._ready = False

    async def __call__(self) -> bool:
        """Listen to what has been said by now."""
        try:
            while not self._ready:
                self._ready = b"READY=1" in self._door.recv(_LONGEST_MESSAGE).split(b"\n")
        except BlockingIOError:
            return False
        return True


@contextmanager
def announcements() -> Iterator[Announced]:
    """A socket for one life of one child; only this user can speak to it."""
    with (
        TemporaryDirectory(prefix="forebay-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door,
    ):
        door.bind(str(Path(folder) / "ready"))
        door.setblocking(False)
        yield Announced(door)
