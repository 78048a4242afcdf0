"""The HTTP door against raw bytes on a real socket."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
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
        self.waiting: list[Exchange] = []
        self.left = 0

    def open(self, exchange: Exchange) -> None:
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
    yield opened
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


def test_a_request_is_answered_and_the_connection_stays() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        for body in (b"one", b"two"):
            writer.write(b"POST /x?q=1 HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\n" + body)
            assert await answer_of(reader) == (200, b"POST /x?q=1 " + body)

    play(scene)


def test_a_request_cut_anywhere_is_still_one_request() -> None:
    whole = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello"

    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        for cut in range(1, len(whole)):
            writer.write(whole[:cut])
            await asyncio.sleep(0)
            writer.write(whole[cut:])
            assert await answer_of(reader) == (200, b"POST /x hello")

    play(scene)


def test_a_chunked_body_is_read() -> None:
    async def scene(here: Door) -> None:
        said = await here.says(
            b"POST /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
        )
        assert said.endswith(b"POST /x hello")

    play(scene)


def test_pipelined_requests_are_answered_in_order_even_when_the_first_takes_longer() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        writer.write(get("/later", close=False) + get("/b", close=False) + get("/c"))
        await asyncio.sleep(0.05)
        here.echo.waiting[0].reply(200, b"at last")
        assert [await answer_of(reader) for _ in range(3)] == [
            (200, b"at last"),
            (200, b"GET /b "),
            (200, b"GET /c "),
        ]
        assert await reader.read() == b""

    play(scene)


def test_hundreds_of_pipelined_requests_are_all_answered() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        writer.write(get("/later", close=False) + get("/n", close=False) * 500)
        await asyncio.sleep(0.05)
        here.echo.waiting[0].reply(200, b"first")
        answers = [await answer_of(reader) for _ in range(501)]
        assert answers[1:] == [(200, b"GET /n ")] * 500

    play(scene)


def test_head_has_no_body_and_says_its_length() -> None:
    async def scene(here: Door) -> None:
        said = await here.says(b"HEAD /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        assert b"content-length: 8\r\n" in said
        assert said.endswith(b"\r\n\r\n")

    play(scene)


def test_a_two_gigabyte_body_is_refused_before_it_is_read() -> None:
    async def scene(here: Door) -> None:
        began_s = time.monotonic()
        said = await here.says(
            b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 2147483648\r\n\r\n" + b"x" * 9999
        )
        assert said.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in said
        assert b"FOREBAY_MAX_BODY_BYTES" in said
        assert time.monotonic() - began_s < 4

    play(scene)


def test_an_endless_chunked_body_is_cut_off() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        writer.write(b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(10):
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        said = await asyncio.wait_for(reader.read(), 5)
        assert said.startswith(b"HTTP/1.1 413 ")

    play(scene)


@pytest.mark.parametrize(
    "bomb",
    [
        b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % i for i in range(1000)),
        b"GET / HTTP/1.1\r\nx: " + b"y" * 5000,
        b"GET /" + b"y" * 5000,
        b"GET / HTTP/1.1\r\nx: " + b"y" * 2000 + b"\r\n\r\n",
    ],
    ids=["many headers", "a long header", "a long path", "a long header that ends"],
)
def test_a_header_bomb_is_refused(bomb: bytes) -> None:
    async def scene(here: Door) -> None:
        assert (await here.says(bomb)).startswith(b"HTTP/1.1 431 ")

    play(scene)


def test_one_who_waits_to_be_asked_for_the_body_is_asked_or_refused() -> None:
    async def scene(here: Door) -> None:
        head = "POST {} HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
        reader, writer = await here.peer()
        writer.write(head.format("/x").encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert await answer_of(reader) == (200, b"POST /x hi")
        writer.write(head.format("/locked").encode())
        assert await answer_of(reader) == (401, b"show a key")
        assert await reader.read() == b""

    play(scene)


def test_without_a_key_the_body_is_thrown_away_and_the_connection_goes_on() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        for _ in range(2):
            writer.write(b"POST /locked HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello")
            assert await answer_of(reader) == (401, b"show a key")

    play(scene)


def test_a_bug_of_ours_is_a_500_that_tells_nothing() -> None:
    async def scene(here: Door) -> None:
        said = await here.says(get("/bug"))
        assert said.startswith(b"HTTP/1.1 500 ")
        assert b"a bug of ours" not in said

    play(scene)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nauthorization: a\r\nauthorization: b\r\ncontent-length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_a_400_and_the_door_is_closed(rubbish: bytes) -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        writer.write(rubbish)
        status, _ = await answer_of(reader)
        assert status == 400
        assert (await here.says(get())).startswith(b"HTTP/1.1 200 ")

    play(scene)


def test_headers_that_trickle_in_are_given_up() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        writer.write(b"GET / HTTP/1.1\r\n")
        said = await asyncio.wait_for(reader.read(), 5)
        assert said.startswith(b"HTTP/1.1 408 ")

    play(scene)


def test_a_body_shorter_than_announced_is_given_up() -> None:
    async def scene(here: Door) -> None:
        said = await here.says(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf")
        assert said.startswith(b"HTTP/1.1 408 ")

    play(scene)


def test_an_idle_connection_is_closed_and_a_waiting_one_is_not() -> None:
    async def scene(here: Door) -> None:
        idle, _ = await here.peer()
        waiting, writer = await here.peer()
        writer.write(get("/later", close=False))
        assert await asyncio.wait_for(idle.read(), 5) == b""
        await asyncio.sleep(0.5)
        here.echo.waiting[0].reply(200, b"worth the wait")
        assert await answer_of(waiting) == (200, b"worth the wait")

    play(scene)


def test_one_who_sends_no_more_still_gets_the_answer() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        writer.write(get("/later", close=False))
        writer.write_eof()
        await asyncio.sleep(0.1)
        here.echo.waiting[0].reply(200, b"here")
        assert await answer_of(reader) == (200, b"here")
        assert await reader.read() == b""

    play(scene)


def test_one_who_hangs_up_is_noticed_and_the_others_are_served() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        rude = socket.create_connection(("127.0.0.1", here.port))
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rude.sendall(get("/later"))
        writer.write(get("/later"))
        await asyncio.sleep(0.1)
        rude.close()
        await asyncio.sleep(0.1)
        assert here.echo.left == 1
        for exchange in here.echo.waiting:
            exchange.reply(200, b"served")
        assert await answer_of(reader) == (200, b"served")

    play(scene)


def test_one_who_never_reads_is_given_up() -> None:
    async def scene(here: Door) -> None:
        deaf = socket.create_connection(("127.0.0.1", here.port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(get("/later", close=False))
        await asyncio.sleep(0.1)
        here.echo.waiting[0].reply(200, b"x" * 50_000_000)
        await asyncio.sleep(0.1)
        assert here.server.connections
        await asyncio.sleep(1.2)
        assert not here.server.connections
        deaf.close()

    play(scene)


def test_another_protocol_on_this_port_is_politely_ignored() -> None:
    async def scene(here: Door) -> None:
        said = await here.says(get("/x", "connection: upgrade", "upgrade: h2c", close=False))
        assert said.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in said

    play(scene)


def test_more_connections_than_allowed_are_told_to_come_back() -> None:
    async def scene(here: Door) -> None:
        peers = [await here.peer() for _ in range(3)]
        assert (await here.says(get())).startswith(b"HTTP/1.1 503 ")
        for _, writer in peers:
            writer.close()
        await asyncio.sleep(0.1)
        assert (await here.says(get())).startswith(b"HTTP/1.1 200 ")

    play(scene, HttpLimits(connections=3))


def test_a_server_that_leaves_answers_what_was_asked() -> None:
    async def scene(here: Door) -> None:
        idle, _ = await here.peer()
        reader, writer = await here.peer()
        writer.write(get("/later", close=False))
        await asyncio.sleep(0.05)
        leaving = asyncio.create_task(here.server.stop(2.0))
        await asyncio.sleep(0.05)
        assert await idle.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await here.peer()
        here.echo.waiting[0].reply(200, b"goodbye")
        assert await answer_of(reader) == (200, b"goodbye")
        began_s = time.monotonic()
        await leaving
        assert time.monotonic() - began_s < 1.5

    play(scene)
