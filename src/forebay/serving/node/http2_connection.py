"""One HTTP/2 peer: its frames, its streams, its limits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from forebay.serving.node.http2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_WINDOW,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    FRAME_SIZE,
    GOAWAY,
    HEAD_BYTES,
    HEADERS,
    HEADERS_SIZE,
    MOST_STREAMS,
    MOST_WINDOW,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Code,
    ConnectionFailure,
    HeaderReader,
    frame,
    goaway_frame,
    head_at,
    settings_frame,
    settings_in,
    without_padding,
    word_frame,
    word_in,
)
from forebay.serving.node.http2_sending import Sender, Stream
from forebay.serving.node.remote import address_of

if TYPE_CHECKING:
    from forebay.serving.node.http2 import Http2Server

_PING_WAIT_S = 20.0
_LINGER_S = 2.0
_GOODBYE_S = 1.0
_NOT_HTTP2 = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-length: 56\r\n\r\n"
    b"this port speaks gRPC; HTTP/1.1 is on the node's --port\n"
)
_log = logging.getLogger("forebay.node")


class Http2Connection(asyncio.Protocol):
    """One peer and its streams."""

    def __init__(self, server: Http2Server) -> None:
        self.server = server
        limits = self._limits = server.limits
        self.sender = Sender(self._said_all, self._reopen, limits.frame_bytes)
        self._transport: asyncio.Transport
        self._reader = HeaderReader(limits.max_header_bytes)
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._rest = b""
        self._greeted = False
        self._data_left = 0
        self._data_stream: Stream | None = None
        self._data_ends = False
        self._block: tuple[int, int, list[bytes]] | None = None
        self._credit = 0
        self._idle_frames = 0
        self._heard_s = self._since_s = time.monotonic()
        self._pinged_s: float | None = None
        self._left_s: float | None = None
        self._closes = False
        self._closing_s: float | None = None
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            HEADERS: self._on_headers,
            PRIORITY: self._on_nothing,
            RST_STREAM: self._on_reset,
            SETTINGS: self._on_settings,
            PUSH_PROMISE: self._on_push,
            PING: self._on_ping,
            GOAWAY: self._on_nothing,
            WINDOW_UPDATE: self._on_window,
            CONTINUATION: self._on_continuation,
        }

    @property
    def address(self) -> str:
        """The peer's IP address."""
        return address_of(self._transport)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self.sender.write = self._transport.write
        limits = self._limits
        self.server.connections.add(self)
        settings = (
            (ENABLE_PUSH, 0),
            (MOST_STREAMS, limits.streams),
            (WINDOW, limits.stream_window),
            (FRAME_SIZE, limits.frame_bytes),
            (HEADERS_SIZE, limits.max_header_bytes),
        )
        more = word_frame(WINDOW_UPDATE, 0, limits.connection_window - DEFAULT_WINDOW)
        self._transport.write(settings_frame(settings) + more)
        if len(self.server.connections) > limits.connections:
            self._fail(Code.REFUSED_STREAM, "too many connections; try again")

    def data_received(self, data: bytes) -> None:
        if self._closing_s is not None:
            return
        self._heard_s = time.monotonic()
        try:
            self._read(data)
        except ConnectionFailure as failure:
            self._fail(failure.code, str(failure))
        except Exception:  # noqa: BLE001 (the outermost: one connection's failure is its own)
            _log.exception("an HTTP/2 connection failed unforeseen")
            self._fail(Code.INTERNAL_ERROR, "something went wrong here; the log has the details")

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        self.server.removed(self)
        streams, self._streams = self._streams, {}
        self.sender.forget_all()
        for stream in streams.values():
            stream.lose()

    def pause_writing(self) -> None:
        self.sender.blocked_s = time.monotonic()
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.sender.blocked_s = None
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self.sender.send_waiting()

    # Frames.

    def _read(self, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        after: int | None = 0
        if not self._greeted:
            after = self._greet(data)
        position = 0
        while after is not None:
            position = after
            after = self._next(data, position)
        self._rest = data[position:]

    def _next(self, data: bytes, position: int) -> int | None:
        """Read one frame, or what is here of a DATA frame; where it ends, None if more has to arrive."""
        left = self._data_left
        if left:
            chunk = data[position : position + left]
            if not chunk:
                return None
            self._data_left = left - len(chunk)
            self._take(chunk)
            return position + len(chunk)
        start = position + HEAD_BYTES
        if len(data) < start:
            return None
        size, kind, flags, number = head_at(data, position)
        self._check_frame(size, kind)
        if kind == DATA and not flags & PADDED:
            self._begin_data(size, flags, number)
            return start
        if len(data) < start + size:
            return None
        self._handle(kind, flags, number, data[start : start + size])
        return start + size

    def _check_frame(self, size: int, kind: int) -> None:
        if size > self._limits.frame_bytes:
            raise ConnectionFailure(Code.FRAME_SIZE_ERROR, "a frame is larger than agreed")
        if size > self._limits.max_header_bytes and kind != DATA:
            raise ConnectionFailure(Code.ENHANCE_YOUR_CALM, "a frame is larger than headers may be")
        if self._block is not None and kind != CONTINUATION:
            raise ConnectionFailure(Code.PROTOCOL_ERROR, "a header block is interrupted")

    def _greet(self, data: bytes) -> int | None:
        """Where the frames begin, once the preface is here."""
        size = len(PREFACE)
        if PREFACE.startswith(data[:size]):
            self._greeted = len(data) >= size
            return size if self._greeted else None
        if data[:1].isalpha():
            self._transport.write(_NOT_HTTP2)
        self._transport.close()
        self._closing_s = self._heard_s
        return None

    def _handle(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == DATA:
            plain = without_padding(flags, payload)
            self._begin_data(len(payload), flags, number)
            self._data_left = 0
            self._take(plain)
            return
        handler = self._handlers.get(kind)
        if handler is None:
            self._did_nothing()
        else:
            handler(flags, number, payload)

    def _begin_data(self, size: int, flags: int, number: int) -> None:
        stream = self._streams.get(number)
        if stream is None:
            if number == 0 or number > self._last or not number & 1:
                raise ConnectionFailure(Code.PROTOCOL_ERROR, "DATA for a stream that is not open")
            # It was reset or answered already; what was on its way is read and forgotten.
        elif stream.heard_all:
            raise ConnectionFailure(Code.STREAM_CLOSED, "DATA after the end of a stream")
        self._count_received(stream, size)
        self._data_stream = stream
        self._data_ends = bool(flags & END_STREAM)
        self._data_left = size
        if size == 0:
            if not self._data_ends:
                self._did_nothing()
            self._take(b"")

    def _take(self, chunk: bytes) -> None:
        """A piece of the DATA frame that is being read; the last one if nothing is left of it."""
        stream = self._data_stream
        if stream is None or stream.gone:
            return
        stream.data(chunk)
        if self._data_left == 0 and self._data_ends and not stream.gone:
            self._heard_all(stream)

    def _heard_all(self, stream: Stream) -> None:
        stream.heard_all = True
        stream.ended()

    def _count_received(self, stream: Stream | None, size: int) -> None:
        """Keep the peer's windows open, for what it sends is read at once."""
        self._credit += size
        limits = self._limits
        if self._credit > limits.connection_window:
            raise ConnectionFailure(Code.FLOW_CONTROL_ERROR, "more DATA than the window allows")
        if self._credit >= limits.connection_window // 2:
            self._transport.write(word_frame(WINDOW_UPDATE, 0, self._credit))
            self._credit = 0
        if stream is not None:
            stream.credit += size
            if stream.credit > limits.stream_window:
                raise ConnectionFailure(Code.FLOW_CONTROL_ERROR, "more DATA than the stream's window allows")
            if stream.credit >= limits.stream_window // 2:
                self._reopen(stream)

    def _reopen(self, stream: Stream) -> None:
        """One who does not read the answers is not asked for more."""
        if stream.credit and not stream.heard_all and stream.unsent_bytes < self._limits.stream_window:
            self._transport.write(word_frame(WINDOW_UPDATE, stream.number, stream.credit))
            stream.credit = 0

    def _did_nothing(self) -> None:
        self._idle_frames += 1
        if self._idle_frames > self._limits.idle_frames:
            raise ConnectionFailure(Code.ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    def _on_nothing(self, _flags: int, _number: int, _payload: bytes) -> None:
        self._did_nothing()

    def _on_push(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise ConnectionFailure(Code.PROTOCOL_ERROR, "a client pushes nothing")

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        block = without_padding(flags, payload)
        if flags & WITH_PRIORITY:
            block = block[5:]
        if flags & END_HEADERS:
            self._begin(number, flags, block)
        else:
            self._since_s = self._heard_s
            self._block = (number, flags, [block])

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != number:
            raise ConnectionFailure(Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        _, first_flags, parts = self._block
        parts.append(payload)
        self._did_nothing()
        if sum(map(len, parts)) > self._limits.max_header_bytes:
            raise ConnectionFailure(Code.ENHANCE_YOUR_CALM, "the headers are too large")
        if flags & END_HEADERS:
            self._block = None
            self._begin(number, first_flags, b"".join(parts))

    def _begin(self, number: int, flags: int, block: bytes) -> None:
        headers = self._reader.read(block)  # even if nobody wants them: the table has to keep up
        stream = self._streams.get(number)
        if stream is not None:
            if stream.heard_all or not flags & END_STREAM:
                raise ConnectionFailure(Code.PROTOCOL_ERROR, "HEADERS in the middle of a stream")
            self._heard_all(stream)  # trailers of a request say nothing to us
            return
        if number <= self._last:
            return  # trailers of a stream that was reset or answered already
        if not number & 1:
            raise ConnectionFailure(Code.PROTOCOL_ERROR, "a client's streams have odd numbers")
        self._last = number
        if len(self._streams) >= self._limits.streams:
            self._did_nothing()
            self._transport.write(word_frame(RST_STREAM, number, Code.REFUSED_STREAM))
            return
        stream = self._streams[number] = self.server.stream(self, number, headers)
        stream.opened()
        if flags & END_STREAM and not stream.gone:
            self._heard_all(stream)

    def _on_reset(self, _flags: int, number: int, payload: bytes) -> None:
        word_in(payload)
        self._did_nothing()
        if number > self._last or number == 0:
            raise ConnectionFailure(Code.PROTOCOL_ERROR, "RST_STREAM for a stream that is not open")
        self._drop(number)

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        self._did_nothing()
        if number or (flags & ACK and payload):
            raise ConnectionFailure(Code.PROTOCOL_ERROR, "SETTINGS that are none")
        if flags & ACK:
            return
        for setting, value in settings_in(payload):
            if setting == WINDOW:
                self.sender.resize(self._streams.values(), value)
            elif setting == FRAME_SIZE:
                self.sender.use_frames_of(value)
        self._transport.write(frame(SETTINGS, ACK, 0))
        self.sender.send_waiting()

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        if number or len(payload) != 8:
            raise ConnectionFailure(Code.PROTOCOL_ERROR, "PING that is none")
        self._did_nothing()
        if not flags & ACK:
            self._transport.write(frame(PING, ACK, 0, payload))
            return
        self._pinged_s = None
        if self._left_s is not None:
            self._say_goodbye()

    def _on_window(self, _flags: int, number: int, payload: bytes) -> None:
        more = word_in(payload) & MOST_WINDOW
        stream = self._streams.get(number)
        if number and stream is None:
            if number > self._last:
                raise ConnectionFailure(Code.PROTOCOL_ERROR, "WINDOW_UPDATE for a stream that is not open")
            return
        self.sender.grow(stream, more)

    # Answers.

    def _said_all(self, stream: Stream) -> None:
        if not stream.heard_all:
            # We know enough: the peer need not send the rest.
            self._transport.write(word_frame(RST_STREAM, stream.number, Code.NO_ERROR))
            stream.gone = True
        self._streams.pop(stream.number, None)
        self._close_when_done()

    def reset(self, stream: Stream, code: Code) -> None:
        """End *stream* without an answer."""
        if stream.number in self._streams:
            self._transport.write(word_frame(RST_STREAM, stream.number, code))
            self._drop(stream.number)

    def _drop(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            self.sender.forget(stream)
            stream.lose()
            self._close_when_done()

    # Leaving, and limits.

    def leave(self) -> None:
        """The server stops: say so, take what was on its way, answer it, close."""
        self._left_s = time.monotonic()
        if not self._greeted or self._closing_s is not None:
            self._transport.close()
            return
        # Requests may be on their way to us: only when the peer has answered do we know the last one.
        hint = goaway_frame(MOST_WINDOW, Code.NO_ERROR, "the server stops")
        self._transport.write(hint + frame(PING, 0, 0, b"leaving!"))

    def _say_goodbye(self) -> None:
        self._closes = True
        self._transport.write(goaway_frame(self._last, Code.NO_ERROR, "the server stops"))
        for stream in list(self._streams.values()):
            stream.leaving()
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._closes and not self._streams:
            self._transport.close()

    def abort(self) -> None:
        """Close now, whatever is unsent."""
        self._transport.abort()

    def check(self, now_s: float) -> None:
        """Close a peer that takes too long, and ask one that is silent whether it is there."""
        self._idle_frames = 0
        limits = self._limits
        unfinished = not self._greeted or self._block is not None
        if self._closing_s is not None:
            if now_s - self._closing_s > _LINGER_S:
                self.abort()
        elif unfinished and now_s - self._since_s > limits.header_wait_s:
            self._fail(Code.ENHANCE_YOUR_CALM, "the headers took too long")
        elif _passed(self.sender.blocked_s, limits.body_wait_s, now_s) or _passed(
            self._pinged_s, _PING_WAIT_S, now_s
        ):
            self.abort()
        elif self._pinged_s is None and now_s - self._heard_s > limits.idle_wait_s:
            self._pinged_s = now_s
            self._transport.write(frame(PING, 0, 0, b"present?"))
        else:
            self._check_streams(now_s)

    def _check_streams(self, now_s: float) -> None:
        wait_s = self._limits.body_wait_s
        if not self._closes and _passed(self._left_s, _GOODBYE_S, now_s):
            self._say_goodbye()  # to one who does not answer
        for stream in self.sender.stuck(now_s, wait_s):
            self.reset(stream, Code.CANCEL)
        for stream in list(self._streams.values()):
            stream.check(now_s, wait_s)

    def _fail(self, code: Code, why: str) -> None:
        if self._closing_s is not None or self._transport.is_closing():
            return
        self._closing_s = time.monotonic()
        self._transport.write(goaway_frame(self._last, code, why))
        if self._transport.can_write_eof():
            self._transport.write_eof()  # closing on unread bytes would destroy what was just said
        streams, self._streams = self._streams, {}
        self.sender.forget_all()
        for stream in streams.values():
            stream.lose()


def _passed(since_s: float | None, wait_s: float, now_s: float) -> bool:
    return since_s is not None and now_s - since_s > wait_s
