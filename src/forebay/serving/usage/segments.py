"""The files of a journal: found again, read, and kept aside when they are damaged."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from forebay.core import Frame
from forebay.serving.usage.frames import HEADER_BYTES, Bad, decode_header, read_frames, torn

SUFFIX = ".journal"
DAMAGED_SUFFIX = ".damaged"
_INDEX_DIGITS = 12
_log = logging.getLogger("forebay.usage")


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a journal that cannot be read: where, how many, and how many events are lost by it.

    `lost` is None at the end of a file that nothing follows, where nobody can say what stood there.
    """

    path: Path
    offset: int
    size_bytes: int
    lost: int | None

    def __str__(self) -> str:
        lost = "an unknown number of" if self.lost is None else str(self.lost)
        return (
            f"{self.path}: {self.size_bytes} bytes from byte {self.offset} on cannot be read, {lost} usage "
            f"events are lost; compare {self.path.name}{DAMAGED_SUFFIX}, which is kept, with the hub's gaps"
        )


class Mark(NamedTuple):
    """A run of whole frames as they were written: the bytes from `start` to before `end`, and their checksum.

    With it they are shipped as they stand, without a look at each.
    """

    start: int
    end: int
    first_seq: int
    end_seq: int
    crc: int


@dataclass(slots=True)
class Segment:
    """One file: the events from `first_seq` to before `end_seq` of one journal, in `size_bytes`.

    It grows, last `end_seq`, until it is `closed`; it is `gone` when somebody has deleted it. Whoever
    writes it leaves `marks`; a file that an earlier process left has none.
    """

    path: Path
    journal: str
    first_seq: int
    end_seq: int
    size_bytes: int
    closed: bool = True
    gone: bool = False
    damages: list[Damage] = field(default_factory=list)
    marks: deque[Mark] = field(default_factory=deque)

    def frames_from(self, offset: int, due_seq: int | None) -> Iterator[tuple[int, Frame]]:
        """The sound frames from byte *offset* on, where *due_seq* belongs, each with its place in the file.

        What is missing is noted in `damages` and logged, once.
        """
        closed = self.closed  # before the size, which is final only then
        with self.path.open("rb") as file:
            file.seek(offset)
            data = memoryview(file.read(max(0, self.size_bytes - offset)))
        bad: tuple[int, Bad] | None = None
        for place, piece in read_frames(data, due_seq):
            if isinstance(piece, Bad):
                bad = place, piece
                continue
            if bad is not None:
                lost = None if due_seq is None else piece.first_seq - due_seq
                self.note(offset + bad[0], bad[1].size_bytes, lost)
                bad = None
            yield offset + place, piece
            due_seq = piece.end_seq
        if closed:
            self._note_end(offset, data, None if bad is None else bad[0], due_seq or 0)

    def marked(self, marks: Sequence[Mark]) -> bytes | None:
        """The bytes that *marks*, one behind the other, stand for; None if they are not what was written."""
        start, end = marks[0].start, marks[-1].end
        with self.path.open("rb") as file:
            file.seek(start)
            data = memoryview(file.read(end - start))
        sound = len(data) == end - start and all(
            crc32(data[mark.start - start : mark.end - start]) == mark.crc for mark in marks
        )
        return bytes(data) if sound else None

    def _note_end(self, offset: int, data: memoryview, bad: int | None, due_seq: int) -> None:
        """A write that was cut off is cut away, unless later files show that there had been more."""
        lost = self.end_seq - due_seq
        if bad is None:
            if lost > 0:
                self.note(offset + len(data), 0, lost)
        elif lost <= 0 and torn(data[bad:]):
            self.size_bytes = offset + bad
            _log.warning("%s ends with %d bytes of a write that was cut off", self.path, len(data) - bad)
        else:
            self.note(offset + bad, len(data) - bad, lost if lost > 0 else None)

    def note_gone(self, due_seq: int) -> None:
        """The file is not there any more, and with it the events from *due_seq* on."""
        self.gone = True
        self.note(0, self.size_bytes, self.end_seq - due_seq)

    def note(self, offset: int, size_bytes: int, lost: int | None) -> None:
        """Remember and log a damage, unless it is known."""
        if all(known.offset != offset for known in self.damages):
            self.damages.append(Damage(self.path, offset, size_bytes, lost))
            _log.error("%s", self.damages[-1])

    def discard(self) -> None:
        """All that can be read is in the ledger: delete the file, or put it aside for a person to look at."""
        try:
            if self.damages and not self.gone:
                self.path.replace(self.path.with_name(self.path.name + DAMAGED_SUFFIX))
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:  # it will be shipped again, and the hub will know it
            _log.warning("%s is not needed any more and cannot be removed: %s", self.path, error)


def file_name(index: int, journal: str) -> str:
    """The name of a folder's *index*-th file: they sort by age, and say what a damaged header cannot."""
    return f"{index:0{_INDEX_DIGITS}d}-{journal}{SUFFIX}"


def next_index(folder: Path) -> int:
    """A number that no file in *folder* has, damaged ones included."""
    return 1 + max((int(path.name[:_INDEX_DIGITS]) for path in _files(folder)), default=0)


def find_segments(folder: Path) -> list[Segment]:
    """What earlier processes have left in *folder*, oldest first; files without events are removed."""
    found = (_opened(path) for path in _files(folder) if path.suffix == SUFFIX)
    segments = [segment for segment in found if segment is not None]
    for segment, following in zip_longest(segments, segments[1:]):
        if (
            following is None
            or following.journal != segment.journal
            or following.first_seq < segment.first_seq
        ):
            _count(segment)
        else:
            segment.end_seq = following.first_seq
    for segment in segments:
        if segment.end_seq == segment.first_seq:
            segment.discard()
    return [segment for segment in segments if segment.end_seq > segment.first_seq]


def _files(folder: Path) -> list[Path]:
    """Ours by name, in order of age."""
    ours = (path for path in folder.iterdir() if path.suffix in (SUFFIX, DAMAGED_SUFFIX))
    return sorted(path for path in ours if path.name[:_INDEX_DIGITS].isdecimal())


def _opened(path: Path) -> Segment | None:
    """A file as its header describes it, or as its name and its first frame do if the header is damaged.

    None for one that was only begun; it is removed.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        header = decode_header(file.read(HEADER_BYTES))
    if header is not None:
        return Segment(path, header.journal, header.first_seq, header.first_seq, size_bytes)
    segment = Segment(path, path.name[_INDEX_DIGITS + 1 : -len(SUFFIX)], 0, 0, size_bytes)
    found = next(segment.frames_from(HEADER_BYTES, None), None) if size_bytes > HEADER_BYTES else None
    if found is None:
        segment.discard()
        return None
    segment.first_seq = segment.end_seq = found[1].first_seq
    segment.note(0, HEADER_BYTES, None)
    return segment


def _count(segment: Segment) -> None:
    """How far the last file of a journal goes is known only by reading it."""
    for _place, frame in segment.frames_from(HEADER_BYTES, segment.first_seq):
        segment.end_seq = frame.end_seq
