"""A log file that is turned over before it grows too large."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from forebay.app.logs import redacted

_LARGEST_BYTES = 10 << 20
_KEPT = 5
_TAIL_BYTES = 4096
_CHUNK_BYTES = 1 << 16


class LogFile:
    """What one child says, in `path`, `path.1` … `path.5`. A full disk loses lines, never the child.

    The children's own logs hold no keys; what Python prints of a crash might, and is redacted here.
    """

    def __init__(self, path: Path, say: Callable[[str], None], largest_bytes: int = _LARGEST_BYTES) -> None:
        self.path = path
        self._say = say
        self._largest_bytes = largest_bytes
        self._tail = b""
        self._lost = False
        self._reading = -1

    @contextmanager
    def pipe(self) -> Iterator[int]:
        """The end of a pipe that a child writes to; what arrives is read by the running event loop.

        A pipe for each life of the child, read until the last writer is gone: grandchildren that
        outlive the child still get their lines in.
        """
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        asyncio.get_running_loop().add_reader(self._reading, self._pour, self._reading)
        try:
            yield writing
        finally:
            os.close(writing)

    def catch_up(self) -> None:
        """Take in what the child wrote last, so that `last_line` is its last."""
        while self._reading >= 0 and self._pour(self._reading):
            pass

    def _pour(self, reading: int) -> bool:
        """Move what has arrived into the file; whether there was anything."""
        try:
            data = os.read(reading, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if data:
            self.write(data)
            return True
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)
        if reading == self._reading:
            self._reading = -1
        return False

    def write(self, data: bytes) -> None:
        """Append *data*; turns the file over after a whole line."""
        data = redacted(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        try:
            with self.path.open("ab") as file:
                file.write(data)
                full = file.tell() > self._largest_bytes and data.endswith(b"\n")
            if full:
                self._turn_over()
        except OSError as error:
            if not self._lost:
                self._say(f"{self.path} cannot be written ({error.strerror}); lines are being lost")
            self._lost = True
        else:
            self._lost = False

    @property
    def last_line(self) -> str:
        """The last line that is not empty, to show when a child will not stay up."""
        lines = self._tail.decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _turn_over(self) -> None:
        for number in range(_KEPT, 1, -1):
            older, newer = self._numbered(number), self._numbered(number - 1)
            if newer.exists():
                newer.replace(older)
        self.path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
