"""What stands in a journal's files, byte by byte (little-endian).

    file     header | frame | frame | …              (a frame: see `core.frames`)
    header   magic 4 | journal 16 | first_seq u64 | crc32 u32

Since each frame says where it belongs, what follows a damaged one is still found, and how much is missing
between them is known.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from forebay.core.frames import HEAD_BYTES, Frame, frame_at, head_at

MAGIC = b"FBJ\x01"
_HEADER = struct.Struct("<4s16sQI")
HEADER_BYTES = _HEADER.size
_CRC_BYTES = 4
_LAST_SEQ = (1 << 64) - 1


class Header(NamedTuple):
    """Which journal a file belongs to, and the first sequence number in it."""

    journal: str
    first_seq: int


class Bad(NamedTuple):
    """Bytes that are no frame."""

    size_bytes: int


def encode_header(header: Header) -> bytes:
    """The first `HEADER_BYTES` of a file."""
    start = _HEADER.pack(MAGIC, bytes.fromhex(header.journal), header.first_seq, 0)[:-_CRC_BYTES]
    return start + crc32(start).to_bytes(_CRC_BYTES, "little")


def decode_header(data: bytes) -> Header | None:
    """The header at the start of *data*; None if it is torn or damaged.

    >>> decode_header(encode_header(Header("00" * 16, 7)))
    Header(journal='00000000000000000000000000000000', first_seq=7)
    """
    if len(data) < HEADER_BYTES:
        return None
    magic, journal, first_seq, crc = _HEADER.unpack_from(data)
    if magic != MAGIC or crc != crc32(data[: HEADER_BYTES - _CRC_BYTES]):
        return None
    return Header(journal.hex(), first_seq)


def read_frames(data: memoryview, due_seq: int | None) -> Iterator[tuple[int, Frame | Bad]]:
    """Everything in *data*, and where: in order, beginning with the event *due_seq* (None: nobody knows)."""
    position = 0
    while position < len(data):
        frame = frame_at(data, position)
        if frame is not None:
            yield position, frame
            position, due_seq = position + len(frame.data), frame.end_seq
            continue
        found = _next_frame(data, position, due_seq)
        yield position, Bad(found - position)
        position = found


def _next_frame(data: memoryview, offset: int, due_seq: int | None) -> int:
    """Where the first sound frame after *offset* starts; the end of *data* if there is none."""
    # An event takes more than a byte: a sequence number further on than there are bytes is no frame's.
    least_seq, most_seq = (0, _LAST_SEQ) if due_seq is None else (due_seq, due_seq + len(data))
    for position in range(offset + 1, len(data) - HEAD_BYTES + 1):
        head = head_at(data, position)
        if (
            head is not None
            and least_seq <= head.first_seq <= most_seq
            and 0 < head.size <= head.body_bytes <= len(data) - position
            and frame_at(data, position) is not None
        ):
            return position
    return len(data)


def torn(rest: memoryview) -> bool:
    """Whether *rest*, behind all sound frames, is an unfinished write rather than damage.

    A crash leaves a frame without its end; a power failure may leave zeros.
    """
    head = head_at(rest, 0)
    return head is None or head.body_bytes > len(rest) - HEAD_BYTES or not any(rest)
