"""One HTTP/2 connection's sending half: streams, their answers, and the windows that hold these back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from forebay.serving.node.http2_frames import (
    DATA,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    LEAST_FRAME_BYTES,
    MOST_WINDOW,
    Code,
    ConnectionFailure,
    Headers,
    frame,
)


class Peer(Protocol):
    """What a stream needs of its connection."""

    @property
    def sender(self) -> Sender:
        """Where answers go."""

    @property
    def address(self) -> str:
        """The IP address of the other end."""

    def reset(self, stream: Stream, code: Code) -> None:
        """End *stream* without an answer."""


class Stream:
    """One request and its answer; what answers is a subclass.

    `gone` turns true when the peer cancels or hangs up, and `lost` is told then, once.
    """

    # Defaults stand on the class: one of these is made for every request, and most change few of them.
    gone = False
    heard_all = False
    said_all = False
    credit = 0
    stuck_s = 0.0

    def __init__(self, peer: Peer, number: int, headers: Headers) -> None:
        self.peer = peer
        self.number = number
        self.headers = headers
        self.began_s = time.monotonic()
        self.window = peer.sender.first_window
        self.unsent: list[tuple[memoryview, bytes]] = []

    # What a subclass answers to.

    def opened(self) -> None:
        """The headers are here."""

    def data(self, chunk: bytes) -> None:
        """A piece of the body, in order; *chunk* may be empty."""

    def ended(self) -> None:
        """The body is whole."""

    def lost(self) -> None:
        """The peer has cancelled or hung up: nobody will hear an answer."""

    def leaving(self) -> None:
        """The server stops: end what would go on for ever."""

    def check(self, now_s: float, wait_s: float) -> None:
        """Now and then: end what has waited longer than *wait_s* for its peer."""

    # What a subclass says.

    def send(self, headers: bytes, body: bytes, trailers: bytes | None = None) -> None:
        """Send a header block (once; empty afterwards), a piece of the body, and the end.

        *trailers* is the last header block, empty if *headers* say it all; None while there is more to
        say. Nothing is sent to one who has left, or after the end.
        """
        if self.gone or self.said_all:
            return
        self.said_all = trailers is not None
        self.peer.sender.say(self, headers, body, trailers)

    @property
    def unsent_bytes(self) -> int:
        """How much the peer does not take yet."""
        return sum(len(body) for body, _ in self.unsent)

    def lose(self) -> None:
        """Nobody listens any more."""
        if not self.gone:
            self.gone = True
            self.lost()


class Sender:
    """Sends what the peer's windows allow, and the rest when they open: a frame a stream, in turn."""

    def __init__(
        self, done: Callable[[Stream], None], drained: Callable[[Stream], None], most_frame_bytes: int
    ) -> None:
        self.write: Callable[[bytes], None]
        self.first_window = DEFAULT_WINDOW
        self.blocked_s: float | None = None
        self._done = done
        self._drained = drained
        self._most_frame_bytes = most_frame_bytes
        self._frame_bytes = LEAST_FRAME_BYTES
        self._window = DEFAULT_WINDOW
        self._waiting: dict[int, Stream] = {}

    def say(self, stream: Stream, headers: bytes, body: bytes, trailers: bytes | None) -> None:
        """Send now what can be sent now; use `Stream.send`."""
        number, size = stream.number, len(body)
        parts = []
        if headers:
            ends = END_STREAM if trailers == b"" and not size else 0
            parts.append(frame(HEADERS, END_HEADERS | ends, number, headers))
        last = frame(HEADERS, END_HEADERS | END_STREAM, number, trailers) if trailers else b""
        if stream.unsent or size > self._window or size > stream.window:
            self.write(b"".join(parts))
            self._keep(stream, body, last)
            return
        if size:
            self._window -= size
            stream.window -= size
            most = self._frame_bytes
            if size <= most:
                parts.append(frame(DATA, 0, number, body))
            else:
                parts += (frame(DATA, 0, number, body[at : at + most]) for at in range(0, size, most))
        parts.append(last)
        self.write(b"".join(parts))
        if stream.said_all:
            self._done(stream)

    def _keep(self, stream: Stream, body: bytes, last: bytes) -> None:
        stream.unsent.append((memoryview(body), last))
        if stream.number not in self._waiting:
            stream.stuck_s = time.monotonic()
            self._waiting[stream.number] = stream
        self.send_waiting()

    def grow(self, stream: Stream | None, more: int) -> None:
        """The peer takes *more* bytes, on one stream or altogether; raises `ConnectionFailure`."""
        window = (self._window if stream is None else stream.window) + more
        if not more or window > MOST_WINDOW:
            raise ConnectionFailure(Code.FLOW_CONTROL_ERROR, "a window grows by nothing or too much")
        if stream is None:
            self._window = window
        else:
            stream.window = window
        if self._waiting:
            self.send_waiting()

    def resize(self, streams: Iterable[Stream], window: int) -> None:
        """Streams begin, and should have begun, with *window*; raises `ConnectionFailure`."""
        if window > MOST_WINDOW:
            raise ConnectionFailure(Code.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE out of range")
        for stream in streams:
            stream.window += window - self.first_window
        self.first_window = window

    def use_frames_of(self, size: int) -> None:
        """The peer takes frames of *size* bytes; raises `ConnectionFailure`."""
        if not LEAST_FRAME_BYTES <= size < 1 << 24:
            raise ConnectionFailure(Code.PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE out of range")
        self._frame_bytes = min(size, self._most_frame_bytes)

    def send_waiting(self) -> None:
        """Go on with what waits, as far as the windows and the socket allow."""
        moved = True
        while moved and self._waiting and self.blocked_s is None:
            moved = False
            for stream in list(self._waiting.values()):
                moved = self._send_some(stream) or moved

    def _send_some(self, stream: Stream) -> bool:
        body, last = stream.unsent[0]
        size = max(0, min(len(body), self._window, stream.window, self._frame_bytes))
        if not size and body:
            return False
        parts = [frame(DATA, 0, stream.number, bytes(body[:size]))] if size else []
        self._window -= size
        stream.window -= size
        stream.stuck_s = time.monotonic()
        if size < len(body):
            stream.unsent[0] = (body[size:], last)
        else:
            parts.append(last)
            del stream.unsent[0]
        self.write(b"".join(parts))
        if not stream.unsent:
            del self._waiting[stream.number]
            self._drained(stream)
            if stream.said_all:
                self._done(stream)
        return True

    def forget(self, stream: Stream) -> None:
        """What *stream* still had to say is not wanted any more."""
        self._waiting.pop(stream.number, None)

    def forget_all(self) -> None:
        """Nobody listens any more."""
        self._waiting.clear()

    def stuck(self, now_s: float, wait_s: float) -> list[Stream]:
        """Streams whose peer has taken nothing for longer than *wait_s*."""
        return [stream for stream in self._waiting.values() if now_s - stream.stuck_s > wait_s]
