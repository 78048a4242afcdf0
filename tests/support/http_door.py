"""A door of HTTP that echoes what it is asked, on a real socket, for peers that send raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvloop

from forebay.core.errors import ForebayError, Unauthenticated, message_for
from forebay.serving.node.exchange import Exchange
from forebay.serving.node.http import HttpLimits, HttpServer

QUICK = HttpLimits(
    max_body_bytes=4096,
    max_header_bytes=1024,
    header_wait_s=0.3,
    body_wait_s=0.3,
    idle_wait_s=0.6,
    connections=50,
)


class Echo:
    """Answers with the method, the path and the body; `/later` waits to be told, `/locked` refuses early."""

    def __init__(self) -> None:
        self.opened: list[Exchange] = []
        self.waiting: list[Exchange] = []
        self.left = 0

    def open(self, exchange: Exchange) -> None:
        self.opened.append(exchange)
        if exchange.target == b"/locked":
            raise Unauthenticated("show a key")

    def answer(self, exchange: Exchange) -> None:
        if exchange.target == b"/bug":
            raise RuntimeError("a bug of ours")
        if exchange.target == b"/later":
            exchange.on_gone = self._gone
            self.waiting.append(exchange)
            return
        exchange.reply(200, exchange.method + b" " + exchange.target + b" " + exchange.body)

    def refuse(self, exchange: Exchange, error: Exception) -> None:
        status = error.status if isinstance(error, ForebayError) else 500
        exchange.reply(status, message_for(error).encode())

    def _gone(self) -> None:
        self.left += 1


Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Door:
    def __init__(self, echo: Echo, server: HttpServer, port: int) -> None:
        self.echo = echo
        self.server = server
        self.port = port
        self._peers: list[Peer] = []

    async def peer(self) -> Peer:
        peer = await asyncio.open_connection("127.0.0.1", self.port)
        self._peers.append(peer)
        return peer

    async def close(self) -> None:
        for _, writer in self._peers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def says(self, data: bytes) -> bytes:
        """Everything the server says to *data* until it hangs up."""
        reader, writer = await self.peer()
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 5)


@asynccontextmanager
async def door(limits: HttpLimits = QUICK) -> AsyncIterator[Door]:
    echo = Echo()
    server = HttpServer(echo, limits)
    port = await server.start("127.0.0.1", 0)
    opened = Door(echo, server, port)
    try:
        yield opened
    finally:
        await opened.close()
        await server.stop(1.0)


def play(scene: Callable[[Door], Coroutine[Any, Any, None]], limits: HttpLimits = QUICK) -> None:
    async def work() -> None:
        async with door(limits) as opened:
            await scene(opened)

    uvloop.run(work())


def get(path: str = "/a", *lines: str, close: bool = True) -> bytes:
    head = [f"GET {path} HTTP/1.1", "host: here", *lines]
    return "\r\n".join([*head, *(["connection: close"] if close else []), "", ""]).encode()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next answer on a connection that stays open."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    size = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")
    )
    return int(head.split()[1]), await reader.readexactly(size)
