"""Peers that speak HTTP/2 frame by frame, for tests of who answers them."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import hpack

from forebay.serving.node import http2_frames as h2

HEADERS = [(b":method", b"POST"), (b":path", b"/echo"), (b":scheme", b"http")]


class Peer:
    """A client that speaks frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()

    def write(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    def block(self, path: bytes = b"/echo", *more: tuple[bytes, bytes]) -> bytes:
        pairs = [(name, path if name == b":path" else value) for name, value in HEADERS]
        return bytes(self.encoder.encode([*pairs, *more]))

    def request(self, number: int, body: bytes = b"hello", path: bytes = b"/echo") -> bytes:
        return h2.frame(h2.HEADERS, h2.END_HEADERS, number, self.block(path)) + h2.frame(
            h2.DATA, h2.END_STREAM, number, body
        )

    async def frame(self) -> tuple[int, int, int, bytes]:
        """Type, flags, stream and payload of the next frame."""
        head = await asyncio.wait_for(self.reader.readexactly(9), 5)
        size, kind, flags, number = h2.head_at(head, 0)
        return kind, flags, number, await asyncio.wait_for(self.reader.readexactly(size), 5)

    async def next(self, wanted: int) -> tuple[int, int, bytes]:
        """Flags, stream and payload of the next frame of a type."""
        while True:
            kind, flags, number, payload = await self.frame()
            if kind == wanted:
                return flags, number, payload

    async def answers(self, *numbers: int) -> dict[int, bytes]:
        """The bodies of whole answers."""
        bodies, open_ones = dict.fromkeys(numbers, b""), set(numbers)
        while open_ones:
            kind, flags, number, payload = await self.frame()
            if kind == h2.HEADERS:
                self.decoder.decode(payload)
                if flags & h2.END_STREAM:
                    open_ones.discard(number)
            elif kind == h2.DATA:
                bodies[number] += payload
        return bodies

    async def goodbye(self) -> tuple[h2.Code, str]:
        """Why the server closes the connection."""
        _, _, payload = await self.next(h2.GOAWAY)
        return h2.Code(struct.unpack(">L", payload[4:8])[0]), payload[8:].decode()


class Wire(asyncio.Transport):
    """A transport that remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.said += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = write_eof = close

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed
