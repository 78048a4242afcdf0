"""Peers that mean harm, or are broken, at the HTTP door: raw bytes on a real socket."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from forebay.serving.node.http import HttpLimits
from support.http_door import Door, answer_of, get, play

POST = b"POST /a HTTP/1.1\r\nhost: h\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET /a\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a http/1.1\r\nhost: h\r\n\r\n",
        b"get /a HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /a\x00b HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /a HTTP/1.1\nhost: h\n\n",
        b"GET /a HTTP/1.1\r\nx: no host\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: h\r\nhost: i\r\n\r\n",
        b"POST /a HTTP/1.1\r\n host: h\r\ncontent-length: 0\r\n\r\n",
        POST + b"x: a\ncontent-length: 0\r\n\r\n",
        POST + b"x: a\rcontent-length: 0\r\n\r\n",
        POST + b"x: a\x00b\r\ncontent-length: 0\r\n\r\n",
        POST + b"x\x00: a\r\ncontent-length: 0\r\n\r\n",
        POST + b"x: a\r\n folded\r\ncontent-length: 0\r\n\r\n",
        POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\n",
        POST + b"content-length: 2\r\ncontent-length: 2\r\n\r\nhi",
        POST + b"content-length: 2, 2\r\n\r\nhi",
        POST + b"content-length: -1\r\n\r\n",
        POST + b"content-length: +2\r\n\r\nhi",
        POST + b"content-length: 0x2\r\n\r\nhi",
        POST + b"content-length: 1 1\r\n\r\nhi",
        POST + b"content-length:\r\n\r\nhi",
        POST + b"content-length : 2\r\n\r\nhi",
        POST + b"content-length: 18446744073709551618\r\n\r\nhi",
        POST + b"authorization: a\r\nauthorization: b\r\ncontent-length: 0\r\n\r\n",
        POST + b"transfer-encoding: identity\r\n\r\n",
        POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding\t: chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\n\r\n",
        CHUNKED + b"0x2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"10000000000000002\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2 \r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2\nhi\n0\n\n",
        CHUNKED + b"2\r\nhiX0\r\n\r\n",
        CHUNKED + b"2;a\nhi\r\n0\r\n\r\n",
        CHUNKED + b"0\r\ncontent-length: 5\r\n\r\n",
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


@pytest.mark.parametrize("path", [b"/a", b"/locked"])
@pytest.mark.parametrize(("lead", "more"), [(b"0\r\nx: ", b"a"), (b"1;x=", b"a"), (b"0\r\n", b"x: a\r\n")])
def test_what_follows_a_body_is_bounded_too(path: bytes, lead: bytes, more: bytes) -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        writer.write(b"POST " + path + b" HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n" + lead)
        for _ in range(20):  # apart from what came before, as the network may cut it
            writer.write(more * 100)
            await writer.drain()
            await asyncio.sleep(0.01)
        status, _ = await answer_of(reader)
        assert status == (401 if path == b"/locked" else 431)
        assert await reader.read() == b""

    play(scene)


def test_one_who_is_refused_does_not_send_for_ever() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        writer.write(b"POST /locked HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(40):
            writer.write(b"10000\r\n" + b"a" * 65536 + b"\r\n")
            await writer.drain()
        assert await answer_of(reader) == (401, b"show a key")
        assert await reader.read() == b""

    play(scene)


def test_a_trailer_changes_nothing_that_was_decided() -> None:
    async def scene(here: Door) -> None:
        reader, writer = await here.peer()
        writer.write(
            CHUNKED + b"2\r\nhi\r\n0\r\nx-forebay-model: other\r\ncontent-encoding: gzip\r\n"
            b"authorization: Bearer other\r\n\r\n"
        )
        assert await answer_of(reader) == (200, b"POST /a hi")
        [exchange] = here.echo.opened
        assert exchange.headers.keys() == {b"host", b"transfer-encoding"}

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
