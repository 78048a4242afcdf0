"""HTTP/1.1 on a socket: parse, limit, time, answer in order. It knows no protocol above HTTP.

httptools (llhttp) reads the bytes; what a hostile or a broken peer may do is bounded here: the size
of headers and bodies, the time for both, idle connections, and answers that nobody reads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum
from functools import lru_cache
from typing import Protocol, cast

import httptools

from forebay.core.errors import Broken, ForebayError, HeadersTooLarge, Malformed, NotReady, Slow, TooLarge
from forebay.serving.node.exchange import Exchange
from forebay.serving.node.familiar import Familiar, familiar_from
from forebay.serving.node.remote import address_of

_KEPT = frozenset({
    b"authorization", b"content-encoding", b"accept-encoding", b"content-type", b"accept", b"expect",
    b"content-length", b"inference-header-content-length", b"x-request-id", b"traceparent", b"tracestate",
    b"cache-control", b"x-forebay-model", b"x-amzn-sagemaker-target-model", b"host", b"transfer-encoding",
})  # fmt: skip
_LISTS = frozenset({b"accept-encoding", b"accept", b"tracestate"})
_HEADER_OVERHEAD = 4  # ": " and CRLF
_PIPELINE = 64
_LINGER_S = 5.0
_LEAST_BYTES_PER_S = 64 << 10
_BODY_TO_DRAIN = 1 << 20
_log = logging.getLogger("forebay.node")


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one peer may cost. A body may take `body_wait_s` and a second more for each 64 KiB."""

    max_body_bytes: int = 64 << 20
    max_header_bytes: int = 32 << 10
    header_wait_s: float = 10.0
    body_wait_s: float = 60.0
    idle_wait_s: float = 75.0
    connections: int = 10_000


class Application(Protocol):
    """What answers. Its methods run on the loop and return at once; the answer may come later."""

    def open(self, exchange: Exchange) -> None:
        """The headers are here: raise a `ForebayError` to refuse before the body is read."""

    def answer(self, exchange: Exchange) -> None:
        """The request is whole; answer now or later with `Exchange.reply`."""

    def refuse(self, exchange: Exchange, error: Exception) -> None:
        """Answer with *error*, in the shape of the exchange's protocol."""


class _Unframed(Malformed):
    """Nobody can be sure where this request ends, or whom it is for."""


class _Phase(Enum):
    IDLE = 1
    HEAD = 2
    BODY = 3
    LINGER = 4


class HttpServer:
    """All connections of one listener, and the clock that watches them."""

    def __init__(self, application: Application, limits: HttpLimits) -> None:
        self.application = application
        self.limits = limits
        self.draining = False
        self.answers: Counter[tuple[str, int]] = Counter()
        self.date_line = b""
        self.connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, *, share_port: bool = False) -> int:
        """Listen; returns the port (*port* 0 takes a free one). Raises `OSError` when it is taken."""
        loop = asyncio.get_running_loop()
        self._tick()
        self._server = await loop.create_server(
            lambda: Connection(self), host, port, backlog=2048, reuse_port=share_port or None
        )
        self._watch = asyncio.create_task(self._look_after())
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, wait_s: float) -> None:
        """Take no new connection, answer what was asked for at most *wait_s*, close the rest."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.close_when_idle()
        if not self.connections:
            self._empty.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), wait_s)
        for connection in list(self.connections):
            connection.abort()
        if self._watch is not None:
            self._watch.cancel()

    def removed(self, connection: Connection) -> None:
        """*connection* is closed."""
        self.connections.discard(connection)
        if self.draining and not self.connections:
            self._empty.set()

    def enough(self, waited_s: float) -> bool:
        """Whether a connection that asks nothing has waited long enough."""
        return self.draining or waited_s > self.limits.idle_wait_s

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self._tick()
            now_s = time.monotonic()
            for connection in list(self.connections):
                connection.check(now_s)

    def _tick(self) -> None:
        self.date_line = f"date: {formatdate(usegmt=True)}\r\n".encode()


class Connection(asyncio.Protocol):
    """One peer. Requests are answered in the order in which they came, whoever is ready first."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self._application = server.application
        self._limits = server.limits
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._phase = _Phase.IDLE
        self._since_s = time.monotonic()
        self._blocked_s: float | None = None
        self._head_bytes = self._body_bytes = self._silent_bytes = 0
        self._queue: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._closing = False
        self._paused = False
        self._familiar: Familiar | None = None
        self._whole: Exchange | None = None
        self._messages = 0

    @property
    def _is_between(self) -> bool:
        """Whether the next byte begins a request."""
        return self._phase is _Phase.IDLE and not self._head_bytes

    @property
    def _lingers(self) -> bool:
        return self._phase is _Phase.LINGER

    @property
    def address(self) -> str:
        """The peer's IP address."""
        return address_of(self._transport)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self.server.connections.add(self)
        if len(self.server.connections) > self._limits.connections:
            self._stop_reading(NotReady("too many connections; try again", retry_after_s=1.0))

    def data_received(self, data: bytes) -> None:
        familiar = self._familiar
        between = self._is_between
        if between and familiar is not None and len(data) == familiar.size and data.startswith(familiar.head):
            self._again(familiar, data)
            return
        self._familiar = None
        self._messages = 0
        self._feed(data)
        whole, self._whole = self._whole, None
        if between and whole is not None and self._is_between:
            self._familiar = familiar_from(data, whole)

    def _again(self, familiar: Familiar, data: bytes) -> None:
        """Another request with a head that has been parsed before."""
        self._since_s = time.monotonic()
        exchange = Exchange(self, self._since_s)
        _, _, exchange.method, exchange.target, exchange.headers = familiar
        exchange.fill(data[len(familiar.head) :])
        exchange.keep_alive = not self.server.draining and not self._closing
        self._queue.append(exchange)
        try:
            self._application.open(exchange)
        except ForebayError as error:
            exchange.refusal = error
        self._hand_over(exchange)

    def _feed(self, data: bytes) -> None:
        if self._lingers:
            return
        body_bytes = self._body_bytes if self._phase is _Phase.BODY else None
        if body_bytes is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # another protocol was asked for; the answer, in this one, closes the connection
        except httptools.HttpParserCallbackError:
            _log.exception("a request could not be handled")
            if self._current is None and self._queue:
                self._current = self._queue[-1]
            self._stop_reading(Broken("something went wrong here; the log has the details"))
        except httptools.HttpParserError as error:
            if not self._lingers:
                self._stop_reading(Malformed(f"this is not HTTP/1.1: {error}"))
        if self._phase is _Phase.HEAD and self._head_bytes > self._limits.max_header_bytes:
            self._stop_reading(self._headers_too_large())
        elif self._phase is _Phase.BODY and body_bytes is not None:
            self._watch_body(body_bytes, len(data))

    def _watch_body(self, body_bytes: int, fed: int) -> None:
        """Chunk extensions and trailers are read too, and kept by the parser, without an end of their own."""
        self._silent_bytes = 0 if self._body_bytes != body_bytes else self._silent_bytes + fed
        if self._silent_bytes > self._limits.max_header_bytes:
            self._stop_reading(self._headers_too_large())

    def eof_received(self) -> bool:
        """The peer will send no more; it still gets the answers to what it asked in full."""
        if self._phase in (_Phase.HEAD, _Phase.BODY) or not self._queue:
            return False
        self._closing = True
        return True

    def connection_lost(self, _error: Exception | None) -> None:
        self.server.removed(self)
        self._drop_rest()

    def pause_writing(self) -> None:
        self._blocked_s = time.monotonic()
        self._hold()

    def resume_writing(self) -> None:
        self._blocked_s = None
        self._release()

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self._phase is _Phase.LINGER:
            return
        self._phase = _Phase.HEAD
        self._body_bytes = self._silent_bytes = 0
        self._since_s = time.monotonic()
        self._current = Exchange(self, self._since_s)

    def on_url(self, url: bytes) -> None:
        if self._current is not None:
            self._current.target += url
            self._current.head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self._current
        if exchange is None or self._phase is not _Phase.HEAD:
            return  # a trailer: it comes after the decisions that it could change, and says nothing to us
        exchange.head_size += len(name) + len(value) + _HEADER_OVERHEAD
        kept = _kept(name)
        if kept is not None:
            headers = exchange.headers
            if kept not in headers:
                headers[kept] = value
            elif kept in _LISTS:
                headers[kept] += b"," + value
            else:
                exchange.double = kept

    def on_headers_complete(self) -> None:
        exchange = self._current
        if exchange is None:
            return
        exchange.method = self._parser.get_method()
        self._phase = _Phase.BODY
        self._queue.append(exchange)
        try:
            self._check_head(exchange)
            self._application.open(exchange)
        except ForebayError as error:
            exchange.refusal = error
            self._refuse_early(exchange, force=isinstance(error, _Unframed))
            return
        if b"expect" in exchange.headers and _waits(exchange) and len(self._queue) == 1:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        exchange = self._current
        if exchange is None or self._phase is _Phase.LINGER:
            return
        self._body_bytes += len(chunk)
        if exchange.refusal is not None:
            if self._body_bytes > _BODY_TO_DRAIN:
                self._linger(exchange, exchange.refusal)
            return
        exchange.add(chunk)
        if exchange.size > self._limits.max_body_bytes:
            exchange.drop_body()
            exchange.refusal = self._body_too_large()
            self._refuse_early(exchange, force=True)

    def on_message_complete(self) -> None:
        exchange, self._current = self._current, None
        self._head_bytes = 0
        if exchange is None or self._phase is _Phase.LINGER:
            return
        self._phase = _Phase.IDLE
        self._since_s = time.monotonic()
        exchange.keep_alive = (
            self._parser.should_keep_alive()
            and not self._parser.should_upgrade()
            and not self.server.draining
            and not self._closing
        )
        # Only a lone request that leaves the connection open can be met again.
        self._whole = exchange if exchange.keep_alive and self._messages == 0 else None
        self._messages += 1
        self._hand_over(exchange)

    def _hand_over(self, exchange: Exchange) -> None:
        if exchange.refusal is not None:
            self._application.refuse(exchange, exchange.refusal)
        else:
            self._application.answer(exchange)
        if len(self._queue) > _PIPELINE:
            self._hold()

    # Answers.

    def flush(self) -> None:
        """Send every answer whose turn it is."""
        queue = self._queue
        while queue and queue[0].response is not None:
            exchange = queue.popleft()
            assert exchange.response is not None
            self._transport.write(exchange.response)
            if not exchange.keep_alive:
                self._closing = True
                self._drop_rest()
        if self._closing and not queue:
            self._finish()
        elif self._paused and self._blocked_s is None and len(queue) <= _PIPELINE:
            self._release()

    def close_when_idle(self) -> None:
        """The server is leaving."""
        if not self._queue and self._phase is not _Phase.BODY:
            self._transport.close()

    def abort(self) -> None:
        """Close now, whatever is unsent."""
        self._transport.abort()

    def check(self, now_s: float) -> None:
        """Close a peer that takes too long."""
        waited_s = now_s - self._since_s
        if self._blocked_s is not None and now_s - self._blocked_s > self._limits.body_wait_s:
            self.abort()
        elif self._phase is _Phase.HEAD and waited_s > self._limits.header_wait_s:
            self._stop_reading(Slow(f"the headers took longer than {self._limits.header_wait_s:g} s"))
        elif self._phase is _Phase.BODY and waited_s > self._body_time_s():
            self._stop_reading(Slow("the body took too long to arrive"))
        elif self._phase is _Phase.LINGER and waited_s > _LINGER_S:
            self.abort()
        elif self._phase is _Phase.IDLE and not self._queue and self.server.enough(waited_s):
            self._transport.close()

    # Limits.

    def _check_head(self, exchange: Exchange) -> None:
        if exchange.head_size > self._limits.max_header_bytes:
            raise self._headers_too_large()
        if exchange.double is not None:
            raise Malformed(f"the header {exchange.double.decode('latin-1')} came twice")
        self._check_framing(exchange)
        length = exchange.headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > self._limits.max_body_bytes:
            raise self._body_too_large()

    def _check_framing(self, exchange: Exchange) -> None:
        """Refuse what others on the way may read differently (RFC 9112, 3.2 and 6.1)."""
        version = self._parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise _Unframed(f"HTTP/{version} is not spoken here; speak HTTP/1.1")
        coding = exchange.headers.get(b"transfer-encoding")
        if coding is not None and (version == "1.0" or coding.lower() != b"chunked"):
            told = coding.decode("latin-1")
            raise _Unframed(f"the transfer coding {told!r} is not taken here; send chunked, in HTTP/1.1")
        if version == "1.1" and b"host" not in exchange.headers:
            raise _Unframed("an HTTP/1.1 request names its Host")

    def _body_time_s(self) -> float:
        arrived = 0 if self._current is None else self._current.size
        return self._limits.body_wait_s + arrived / _LEAST_BYTES_PER_S

    def _headers_too_large(self) -> HeadersTooLarge:
        return HeadersTooLarge(f"the headers are larger than {self._limits.max_header_bytes} bytes")

    def _body_too_large(self) -> TooLarge:
        return TooLarge(
            f"the body is larger than the {self._limits.max_body_bytes} bytes that this node takes; "
            "send fewer rows, or raise FOREBAY_MAX_BODY_BYTES"
        )

    def _refuse_early(self, exchange: Exchange, *, force: bool = False) -> None:
        """Do not wait for a body that is large, endless, or kept back until we agree."""
        length = exchange.headers.get(b"content-length", b"0")
        small = length.isdigit() and int(length) <= _BODY_TO_DRAIN
        if force or _waits(exchange) or not small:
            assert exchange.refusal is not None
            self._linger(exchange, exchange.refusal)

    def _stop_reading(self, error: ForebayError) -> None:
        """Answer the request that is under way (or what was taken for one) with *error*, then close."""
        exchange = self._current
        if exchange is None:
            exchange = Exchange(self, time.monotonic())
        if exchange not in self._queue:
            self._queue.append(exchange)
        self._linger(exchange, exchange.refusal or error)

    def _linger(self, exchange: Exchange, error: Exception) -> None:
        """Answer and close, but read on for a moment: closing on unread bytes would destroy the answer."""
        self._phase = _Phase.LINGER
        self._since_s = time.monotonic()
        exchange.keep_alive = False
        self._application.refuse(exchange, error)

    def _finish(self) -> None:
        if self._phase is not _Phase.LINGER:
            self._transport.close()
        elif self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def _drop_rest(self) -> None:
        """Nobody will hear what else was asked."""
        for exchange in self._queue:
            exchange.lost()
        self._queue.clear()

    def _hold(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _release(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()


def _waits(exchange: Exchange) -> bool:
    return exchange.headers.get(b"expect", b"").lower() == b"100-continue"


@lru_cache(maxsize=1024)
def _kept(name: bytes) -> bytes | None:
    """The header's name in lower case, if some door reads it. Clients spell few names, again and again."""
    lower = name.lower()
    return lower if lower in _KEPT else None


def header_lines(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Header lines as `Exchange.reply` takes them."""
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in pairs)
