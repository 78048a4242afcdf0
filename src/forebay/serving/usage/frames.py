"""What stands in a journal's files, byte by byte (little-endian).

    file     header | frame | frame | …
    header   magic 4 | journal 16 | first_seq u64 | crc32 u32
    frame    length u32 | crc32 u32 | first_seq u64 | body     (a batch of events as MessagePack)

A frame's checksum covers its sequence number and its body. Since each frame says where it belongs,
what follows a damaged one is still found, and how much is missing between them is known.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec

from forebay.core import UsageEvent

MAGIC = b"FBJ\x01"
_HEADER = struct.Struct("<4s16sQI")
_FRAME = struct.Struct("<IIQ")
_SEQ = struct.Struct("<Q")
HEADER_BYTES = _HEADER.size
_CRC_BYTES = 4
_LAST_SEQ = (1 << 64) - 1
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[UsageEvent, ...])


class Header(NamedTuple):
    """Which journal a file belongs to, and the first sequence number in it."""

    journal: str
    first_seq: int


class Frame(NamedTuple):
    """A batch of events; the bytes behind it start at `end`."""

    first_seq: int
    events: tuple[UsageEvent, ...]
    end: int


class Bad(NamedTuple):
    """Bytes from `start` to before `end` that are no frame."""

    start: int
    end: int


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


def encode_frame(first_seq: int, events: Sequence[UsageEvent]) -> bytes:
    """*events* as one frame."""
    body = _encoder.encode(events)
    crc = crc32(body, crc32(_SEQ.pack(first_seq)))
    return _FRAME.pack(len(body), crc, first_seq) + body


def decode_frame(data: memoryview, offset: int) -> Frame | None:
    """The frame at *offset*; None if there is no whole and sound one."""
    start = offset + _FRAME.size
    if start > len(data):
        return None
    length, crc, first_seq = _FRAME.unpack_from(data, offset)
    end = start + length
    if end > len(data) or crc != crc32(data[start:end], crc32(_SEQ.pack(first_seq))):
        return None
    try:
        return Frame(first_seq, _decoder.decode(data[start:end]), end)
    except msgspec.MsgspecError:
        return None


def read_frames(data: memoryview, due_seq: int | None) -> Iterator[Frame | Bad]:
    """Everything in *data*, in order, beginning with the event *due_seq* (None: nobody knows)."""
    position = 0
    while position < len(data):
        frame = decode_frame(data, position)
        if frame is not None:
            yield frame
            position, due_seq = frame.end, frame.first_seq + len(frame.events)
            continue
        found = _next_frame(data, position, due_seq)
        yield Bad(position, found)
        position = found


def _next_frame(data: memoryview, offset: int, due_seq: int | None) -> int:
    """Where the first sound frame after *offset* starts; the end of *data* if there is none."""
    # An event takes more than a byte: a sequence number further on than there are bytes is no frame's.
    least_seq, most_seq = (0, _LAST_SEQ) if due_seq is None else (due_seq, due_seq + len(data))
    for position in range(offset + 1, len(data) - _FRAME.size + 1):
        length, _, seq = _FRAME.unpack_from(data, position)
        plausible = least_seq <= seq <= most_seq and length <= len(data) - position
        if plausible and decode_frame(data, position) is not None:
            return position
    return len(data)


def torn(rest: memoryview) -> bool:
    """Whether *rest*, behind all sound frames, is an unfinished write rather than damage.

    A crash leaves a frame without its end; a power failure may leave zeros.
    """
    if len(rest) < _FRAME.size or _FRAME.unpack_from(rest)[0] > len(rest) - _FRAME.size:
        return True
    return not any(rest)
