"""HTTP/2 byte by byte (RFC 9113): frames, settings, error codes, header blocks.

length u24 | type u8 | flags u8 | stream u32 (31 bits) | payload        (big-endian)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
LEAST_FRAME_BYTES = 1 << 14
MOST_WINDOW = (1 << 31) - 1
DEFAULT_WINDOW = (1 << 16) - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
TABLE_SIZE, ENABLE_PUSH, MOST_STREAMS, WINDOW, FRAME_SIZE, HEADERS_SIZE = range(1, 7)

_HEAD = struct.Struct(">HBBBL")
_SETTING = struct.Struct(">HL")
_WORD = struct.Struct(">L")
_KNOWN_BLOCKS = 256

Headers = dict[bytes, bytes]


class Code(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionFailure(Exception):
    """The peer broke the protocol, and the connection cannot go on."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code


def head_at(data: bytes, position: int) -> tuple[int, int, int, int]:
    """Length, type, flags and stream of the frame at *position*."""
    high, low, kind, flags, stream = _HEAD.unpack_from(data, position)
    return high << 8 | low, kind, flags, stream & MOST_WINDOW


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame.

    >>> frame(PING, ACK, 0, b"12345678").hex()
    '0000080601000000003132333435363738'
    """
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def settings_frame(settings: Iterable[tuple[int, int]]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*setting) for setting in settings))


def settings_in(payload: bytes) -> Iterator[tuple[int, int]]:
    """Identifier and value of each setting; raises `ConnectionFailure`."""
    if len(payload) % _SETTING.size:
        raise ConnectionFailure(Code.FRAME_SIZE_ERROR, "a SETTINGS frame is no list of settings")
    return _SETTING.iter_unpack(payload)


def word_frame(kind: int, stream: int, word: int) -> bytes:
    """RST_STREAM with a code, or WINDOW_UPDATE with an increment."""
    return frame(kind, 0, stream, _WORD.pack(word))


def word_in(payload: bytes) -> int:
    """The one word of a RST_STREAM or WINDOW_UPDATE; raises `ConnectionFailure`."""
    if len(payload) != _WORD.size:
        raise ConnectionFailure(Code.FRAME_SIZE_ERROR, "a frame of one word has another size")
    word: int = _WORD.unpack(payload)[0]
    return word


def goaway_frame(last_stream: int, code: Code, why: str = "") -> bytes:
    """A GOAWAY frame."""
    return frame(GOAWAY, 0, 0, _WORD.pack(last_stream) + _WORD.pack(code) + why.encode()[:200])


def without_padding(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame; raises `ConnectionFailure`."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFailure(Code.PROTOCOL_ERROR, "a frame is nothing but padding")
    return payload[1 : len(payload) - payload[0]]


def header_block(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    r"""Headers as a block that asks nothing of the peer's memory: literals, never indexed.

    >>> header_block([(b"grpc-status", b"0")])
    b'\x00\x0bgrpc-status\x010'
    """
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in pairs)


def _text(data: bytes) -> bytes:
    size = len(data)
    if size < 0x7F:
        return bytes((size,)) + data
    size -= 0x7F
    prefix = bytearray((0x7F,))
    while size >= 0x80:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + data


class HeaderReader:
    """Reads the header blocks of one connection, in order.

    A caller's blocks repeat themselves once its headers stand in the table, so what a block means is
    remembered until the table changes.
    """

    def __init__(self, most_bytes: int) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=most_bytes)
        self._known: dict[bytes, Headers] = {}

    def read(self, block: bytes) -> Headers:
        """Headers by name, the first where one comes twice; raises `ConnectionFailure`."""
        found = self._known.get(block)
        if found is not None:
            return found
        table = self._decoder.header_table
        entries, size = table.dynamic_entries, table.maxsize
        count, first = len(entries), entries[0] if entries else None
        try:
            pairs = self._decoder.decode(block, raw=True)
        except hpack.OversizedHeaderListError:
            raise ConnectionFailure(Code.ENHANCE_YOUR_CALM, "the headers are too large") from None
        except (hpack.HPACKError, IndexError) as error:
            raise ConnectionFailure(Code.COMPRESSION_ERROR, f"the headers cannot be read: {error}") from None
        headers: Headers = {}
        for name, value in pairs:
            headers.setdefault(bytes(name), bytes(value))
        # A new entry always comes first; held here, the old first cannot be mistaken for a newer one.
        same = count == len(entries) and size == table.maxsize and (not count or entries[0] is first)
        if not same:
            self._known.clear()
        elif len(self._known) < _KNOWN_BLOCKS:
            self._known[block] = headers
        return headers
