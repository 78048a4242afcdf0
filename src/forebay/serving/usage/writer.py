"""The end of a journal that grows."""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from forebay.core import UsageEvent
from forebay.core.errors import Broken, StorageFull
from forebay.core.frames import encode_frame
from forebay.serving.usage.frames import HEADER_BYTES, Header, encode_header
from forebay.serving.usage.segments import Mark, Segment, file_name

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_log = logging.getLogger("forebay.usage")


class Writer:
    """Appends to the last of *segments*, which it adds itself; the first will be number *index*."""

    def __init__(
        self,
        folder: Path,
        segments: deque[Segment],
        *,
        index: int,
        segment_bytes: int,
        mark_events: int,
        sync: bool,
    ) -> None:
        self._folder = folder
        self._segments = segments
        self._index = index
        self._segment_bytes = segment_bytes
        self._mark_events = mark_events
        self._sync = sync
        self._journal = secrets.token_hex(16)
        self._segment: Segment | None = None
        self._file = -1
        self._doubtful = False
        self._mark = Mark(0, 0, 0, 0, 0)
        self.next_seq = 0

    def append(self, events: Sequence[UsageEvent]) -> None:
        """See `Journal.append`."""
        if not events:
            return
        frame = encode_frame(self.next_seq, events)
        segment = self._segment_for(len(frame))
        try:
            self._put(self._file, frame)
        except OSError as error:
            self._take_back(segment)
            raise failure(segment.path, error) from error
        self.next_seq += len(events)
        segment.size_bytes += len(frame)
        segment.end_seq = self.next_seq
        mark = self._mark
        self._mark = Mark(
            mark.start, segment.size_bytes, mark.first_seq, self.next_seq, crc32(frame, mark.crc)
        )
        if self.next_seq - mark.first_seq >= self._mark_events:
            self._set_mark(segment)

    def close(self) -> None:
        """The last file is as it will stay."""
        if self._segment is not None:
            self._set_mark(self._segment)
            try:
                os.close(self._file)
            except OSError as error:  # every event in it was written before; the disk may have more to say
                _log.warning("%s was closed with an error: %s", self._segment.path, error)
            self._segment.closed = True
            self._segment = None

    def _set_mark(self, segment: Segment) -> None:
        """What was written since the last mark gets one; the next begins behind it."""
        mark = self._mark
        if mark.end_seq > mark.first_seq:
            segment.marks.append(mark)
        self._mark = Mark(mark.end, mark.end, mark.end_seq, mark.end_seq, 0)

    def _segment_for(self, frame_bytes: int) -> Segment:
        segment = self._segment
        if segment is None or self._doubtful or segment.gone:
            return self._begin()
        if segment.size_bytes + frame_bytes > self._segment_bytes and segment.size_bytes > HEADER_BYTES:
            return self._begin()
        return segment

    def _begin(self) -> Segment:
        """A new file in place of the present one, which stays in use if that fails."""
        path = self._folder / file_name(self._index, self._journal)
        self._index += 1
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                self._put(file, encode_header(Header(self._journal, self.next_seq)))
                if self._sync:
                    _sync_folder(self._folder)
            except OSError:
                os.close(file)
                path.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise failure(path, error) from error
        self.close()
        self._file, self._doubtful = file, False
        self._segment = Segment(path, self._journal, self.next_seq, self.next_seq, HEADER_BYTES, closed=False)
        self._mark = Mark(HEADER_BYTES, HEADER_BYTES, self.next_seq, self.next_seq, 0)
        self._segments.append(self._segment)
        return self._segment

    def _put(self, file: int, data: bytes) -> None:
        written = os.write(file, data)
        while written < len(data):  # the disk is nearly full: the rest will tell
            written += os.write(file, data[written:])
        if self._sync:
            os.fdatasync(file)

    def _take_back(self, segment: Segment) -> None:
        """Leave no half a frame behind, and begin a new file next time.

        Where even that fails, nobody reads beyond the file's size as we know it, and later processes
        recognise an unfinished write, or a number that the next file gives again.
        """
        self._doubtful = True
        try:
            os.ftruncate(self._file, segment.size_bytes)
        except OSError as error:
            _log.warning("%s cannot be cut back to %d bytes: %s", segment.path, segment.size_bytes, error)


def failure(path: Path, error: OSError) -> Broken:
    """What went wrong with *path*, in a caller's words."""
    if error.errno in _FULL:
        return StorageFull(
            f"the usage of this request cannot be written down: {error.strerror} ({path.name}); "
            "make room on the node's disk"
        )
    return Broken(
        f"the usage of this request cannot be written down: {error.strerror} ({path.name}); "
        "check the node's disk and the permissions of its home"
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
