"""A journal in a folder.

Every process that opens the folder starts a journal of its own, under a random name and counting
from 0, and only reads what earlier ones have left there. So no sequence number is given twice,
whatever a crash or a power failure took away, and nothing is built upon a damaged file.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from forebay.core import Shipment, UsageEvent
from forebay.core.errors import Broken
from forebay.serving.usage.journal import SHIPMENT_EVENTS
from forebay.serving.usage.reader import Reader
from forebay.serving.usage.segments import Damage, find_segments, next_index
from forebay.serving.usage.writer import Writer

_SEGMENT_BYTES = 1 << 20
_MARK_EVENTS = 256


class FileJournal:
    """A journal in *folder*, which is made if need be and belongs to one process at a time.

    A new file is begun when one would grow beyond *segment_bytes*, and removed when all of it is
    acknowledged; *mark_events*, or a few more, are shipped together as they stand. With *sync*, `append`
    returns when the disk has the events; without, when the operating system has, which a `kill -9` cannot
    undo but a power failure can.

    Raises `Broken` if another process holds the folder, or if it cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = _SEGMENT_BYTES,
        mark_events: int = _MARK_EVENTS,
        sync: bool = False,
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder)
            segments = deque(find_segments(folder))
            index = next_index(folder)
        except OSError as error:
            raise Broken(
                f"the journal {folder} cannot be used: {error.strerror}; check its permissions"
            ) from error
        self._left_before = sum(segment.end_seq - segment.first_seq for segment in segments)
        self._writer = Writer(
            folder, segments, index=index, segment_bytes=segment_bytes, mark_events=mark_events, sync=sync
        )
        self._reader = Reader(segments)

    @property
    def behind(self) -> int:
        return self._left_before + self._writer.next_seq - self._reader.released

    @property
    def damages(self) -> list[Damage]:
        """What could not be read, as far as it has been noticed; the files are kept as `….damaged`."""
        return self._reader.damages

    def append(self, events: Sequence[UsageEvent]) -> None:
        self._writer.append(events)

    def read(self, limit: int = SHIPMENT_EVENTS) -> Shipment | None:
        return self._reader.read(limit)

    def acknowledge(self, next_seq: int) -> None:
        self._reader.acknowledge(next_seq)

    def close(self) -> None:
        self._writer.close()
        self._reader.tidy()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _lock(folder: Path) -> int:
    """The folder is ours until the process ends, however it ends."""
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise Broken(
            f"another process uses the journal {folder}; is a node with this home running?"
        ) from None
    return file
