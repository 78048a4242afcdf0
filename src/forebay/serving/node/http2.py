"""HTTP/2 on a socket (RFC 9113), as far as a server of calls needs it. It knows no protocol above.

As `http.py` does for HTTP/1.1, it bounds what a hostile or a broken peer may do: the size of headers,
the number of streams, of frames that do nothing and of connections, the time for what has begun, and
answers that nobody reads. Nothing is pushed, priorities are ignored, answers never use the peer's
header table.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from forebay.serving.node.http2_connection import Http2Connection
from forebay.serving.node.http2_frames import Headers
from forebay.serving.node.http2_sending import Stream

_WATCH_S = 0.5


@dataclass(frozen=True, slots=True)
class Http2Limits:
    """What one peer may cost; `idle_frames` is for half a second."""

    max_header_bytes: int = 32 << 10
    header_wait_s: float = 10.0
    body_wait_s: float = 60.0
    idle_wait_s: float = 75.0
    connections: int = 10_000
    streams: int = 1024
    stream_window: int = 4 << 20
    connection_window: int = 16 << 20
    frame_bytes: int = 1 << 20
    idle_frames: int = 5000


class Http2Server:
    """All connections of one listener, and the clock that watches them."""

    def __init__(
        self, stream: Callable[[Http2Connection, int, Headers], Stream], limits: Http2Limits
    ) -> None:
        self.stream = stream
        self.limits = limits
        self.draining = False
        self.connections: set[Http2Connection] = set()
        self._empty = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, *, share_port: bool = False) -> int:
        """Listen; returns the port (*port* 0 takes a free one). Raises `OSError` when it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Http2Connection(self), host, port, backlog=2048, reuse_port=share_port or None
        )
        self._watch = asyncio.create_task(self._look_after())
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, wait_s: float) -> None:
        """Take no new connection, answer what was asked for at most *wait_s*, close the rest."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.leave()
        if not self.connections:
            self._empty.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), wait_s)
        for connection in list(self.connections):
            connection.abort()
        if self._watch is not None:
            self._watch.cancel()

    def removed(self, connection: Http2Connection) -> None:
        """*connection* is closed."""
        self.connections.discard(connection)
        if self.draining and not self.connections:
            self._empty.set()

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_S)
            now_s = time.monotonic()
            for connection in list(self.connections):
                connection.check(now_s)
