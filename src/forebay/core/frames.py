"""Usage events in frames: as a node writes them down, as it ships them, and as the ledger keeps them.

    frame    length u32 | crc32 u32 | first_seq u64 | count u32 | body     (little-endian)

The body, of *length* bytes, is a MessagePack array of *count* events; event *i* has the sequence number
`first_seq + i`. The checksum covers all that follows it, so whoever holds a frame, however far from the
node, can tell that it is what the node wrote; and since it says where it belongs, what is missing before
it is known.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec

from forebay.core.errors import Malformed
from forebay.core.usage import UsageEvent

_HEAD = struct.Struct("<IIQI")
_COUNTED = struct.Struct("<QI")
_CRC_END = 8
HEAD_BYTES = _HEAD.size
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[UsageEvent])


class Frame(NamedTuple):
    """`size` events from `first_seq` on; `data` is all of the frame, and its sum is right."""

    first_seq: int
    size: int
    data: memoryview

    @property
    def end_seq(self) -> int:
        """The sequence number behind the last event."""
        return self.first_seq + self.size

    def events(self) -> list[UsageEvent]:
        """The events; raises `Malformed` if they are of a kind that this release cannot read."""
        try:
            events = _decoder.decode(self.data[HEAD_BYTES:])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(
                f"the usage events from {self.first_seq} on cannot be read: {error}; is their node newer?"
            ) from error
        if len(events) != self.size:
            raise Malformed(f"a frame says that it has {self.size} usage events, and has {len(events)}")
        return events


class Head(NamedTuple):
    """What the first bytes of a frame say, sound or not: `body_bytes` and `size` events follow."""

    body_bytes: int
    crc: int
    first_seq: int
    size: int


def encode_frame(first_seq: int, events: Sequence[UsageEvent]) -> bytes:
    """*events* as one frame."""
    body = _encoder.encode(events)
    crc = crc32(body, crc32(_COUNTED.pack(first_seq, len(events))))
    return _HEAD.pack(len(body), crc, first_seq, len(events)) + body


def head_at(data: memoryview, offset: int) -> Head | None:
    """What would be the head of a frame at *offset*; None if there are too few bytes."""
    return Head(*_HEAD.unpack_from(data, offset)) if offset + HEAD_BYTES <= len(data) else None


def frame_at(data: memoryview, offset: int) -> Frame | None:
    """The frame at *offset*; None if there is no whole and sound one."""
    start = offset + HEAD_BYTES
    if start > len(data):
        return None
    length, crc, first_seq, count = _HEAD.unpack_from(data, offset)
    end = start + length
    if end > len(data) or crc != crc32(data[offset + _CRC_END : end]):
        return None
    return Frame(first_seq, count, data[offset:end])


class Shipment(msgspec.Struct, frozen=True):
    """A run of events out of one journal, in the frames that the node wrote.

    `(journal, sequence number)` is an event's identity wherever it is stored: shipping twice counts once.
    """

    journal: str
    frames: bytes

    @classmethod
    def of(cls, journal: str, first_seq: int, events: Sequence[UsageEvent]) -> Shipment:
        """*events* in one frame; without any, the question what is expected next."""
        return cls(journal, encode_frame(first_seq, events) if events else b"")

    def __iter__(self) -> Iterator[Frame]:
        """Its frames; raises `Malformed` where they are damaged, or do not follow each other."""
        data, position, due_seq = memoryview(self.frames), 0, None
        while position < len(data):
            frame = frame_at(data, position)
            if frame is None:
                raise Malformed(f"there is no sound frame of usage events at byte {position}; ship it again")
            if due_seq not in (None, frame.first_seq):
                raise Malformed(f"the frame of {frame.first_seq} stands where {due_seq} is due")
            yield frame
            position, due_seq = position + len(frame.data), frame.end_seq

    @property
    def first_seq(self) -> int:
        """The number of its first event."""
        return next(iter(self)).first_seq

    @property
    def events(self) -> list[UsageEvent]:
        """All of its events."""
        return [event for frame in self for event in frame.events()]
