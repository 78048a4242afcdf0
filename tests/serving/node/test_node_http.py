"""The HTTP door against raw bytes on a real socket."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

import pytest

from support.http_door import Door, answer_of, get, play


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
