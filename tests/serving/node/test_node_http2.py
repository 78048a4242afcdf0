"""The HTTP/2 door against raw frames on a real socket."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

import hpack
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from forebay.serving.node import http2_frames as h2
from forebay.serving.node.http2 import Http2Limits, Http2Server
from forebay.serving.node.http2_connection import Http2Connection
from forebay.serving.node.http2_sending import Stream
from support.http2_peers import HEADERS, Peer, Wire

QUICK = Http2Limits(
    max_header_bytes=2048,
    header_wait_s=0.3,
    body_wait_s=0.4,
    idle_wait_s=30.0,
    connections=50,
    streams=8,
    stream_window=1 << 16,
    connection_window=1 << 17,
    frame_bytes=1 << 16,
    idle_frames=100,
)
OK = h2.header_block([(b"x-answer", b"1")])
END = h2.header_block([(b"x-end", b"1")])
SETTINGS = h2.settings_frame([])


class Echo(Stream):
    """Sends back what it hears; `/later` waits to be told, `/locked` refuses at once, `/bug` has one."""

    waiting: ClassVar[list[Echo]] = []
    left = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.heard = b""
        self.path = self.headers.get(b":path", b"")

    def opened(self) -> None:
        if self.path == b"/locked":
            self.send(OK + END, b"", b"")
        if self.path == b"/bug":
            raise RuntimeError("a bug of ours")

    def data(self, chunk: bytes) -> None:
        self.heard += chunk

    def ended(self) -> None:
        if self.path == b"/later":
            Echo.waiting.append(self)
        else:
            self.send(OK, self.heard, END)

    def lost(self) -> None:
        Echo.left += 1


class Door:
    def __init__(self, server: Http2Server, port: int) -> None:
        self.server, self.port = server, port
        self._peers: list[Peer] = []

    async def bare(self) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self._peers.append(peer)
        return peer

    async def peer(self, *settings: tuple[int, int]) -> Peer:
        peer = await self.bare()
        peer.write(h2.PREFACE, h2.settings_frame(settings))
        return peer

    async def close(self) -> None:
        for peer in self._peers:
            peer.writer.close()
            with suppress(ConnectionError):
                await peer.writer.wait_closed()


@asynccontextmanager
async def door(limits: Http2Limits) -> AsyncIterator[Door]:
    Echo.waiting, Echo.left = [], 0
    server = Http2Server(Echo, limits)
    opened = Door(server, await server.start("127.0.0.1", 0))
    yield opened
    await opened.close()
    await server.stop(1.0)


def play(scene: Callable[[Door], Coroutine[Any, Any, None]], limits: Http2Limits = QUICK) -> None:
    async def work() -> None:
        async with door(limits) as opened:
            await scene(opened)

    uvloop.run(work())


def test_a_request_cut_anywhere_is_still_one_request() -> None:
    async def scene(here: Door) -> None:
        whole = h2.PREFACE + SETTINGS + Peer.request(await here.bare(), 1)
        for cut in range(1, len(whole)):
            peer = await here.bare()
            peer.write(whole[:cut])
            await asyncio.sleep(0)
            peer.write(whole[cut:])
            assert await peer.answers(1) == {1: b"hello"}
            peer.writer.close()
            await peer.writer.wait_closed()

    play(scene, Http2Limits())


def test_headers_in_pieces_with_priority_and_padding_are_read() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        block = peer.block()
        padded = b"\x03" + b"\0\0\0\0\x10" + block[:4] + b"\0\0\0"
        peer.write(
            h2.frame(h2.HEADERS, h2.PADDED | h2.WITH_PRIORITY, 1, padded),
            h2.frame(h2.CONTINUATION, 0, 1, block[4:6]),
            h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, block[6:]),
            h2.frame(h2.DATA, h2.PADDED, 1, b"\x02heXX"),
            h2.frame(h2.PRIORITY, 0, 1, b"\0\0\0\0\0"),
            h2.frame(0x77, 0, 0, b"from the future"),
            h2.frame(h2.DATA, 0, 1, b""),
            h2.frame(h2.DATA, 0, 1, b"llo"),
            h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, h2.header_block([(b"t", b"1")])),
        )
        assert await peer.answers(1) == {1: b"hello"}

    play(scene)


def test_many_streams_are_answered_whoever_is_ready_first() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        peer.write(peer.request(1, b"a", b"/later"), peer.request(3, b"b"), peer.request(5, b"c"))
        assert await peer.answers(3, 5) == {3: b"b", 5: b"c"}
        Echo.waiting[0].send(OK, b"at last", END)
        assert await peer.answers(1) == {1: b"at last"}

    play(scene)


def test_an_answer_waits_for_the_windows_and_comes_whole() -> None:
    body = bytes(range(256)) * 40

    async def scene(here: Door) -> None:
        peer = await here.peer((h2.WINDOW, 10))
        peer.write(peer.request(1, body), peer.request(3, b"tiny"))
        got = {1: b"", 3: b""}
        while len(got[1]) < len(body):
            kind, _, number, payload = await peer.frame()
            if kind == h2.DATA:
                got[number] += payload
                peer.write(h2.word_frame(h2.WINDOW_UPDATE, number, len(payload) * 2))
        assert got == {1: body, 3: b"tiny"}
        await peer.next(h2.HEADERS)

    play(scene)


def test_a_window_that_shrinks_below_zero_opens_again() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer((h2.WINDOW, 100))
        peer.write(peer.request(1, b"x" * 150))
        flags, _, first = await peer.next(h2.DATA)
        assert (flags, len(first)) == (0, 100)
        peer.write(h2.settings_frame([(h2.WINDOW, 20)]))
        await peer.next(h2.SETTINGS)
        peer.write(h2.word_frame(h2.WINDOW_UPDATE, 1, 80), h2.frame(h2.PING, 0, 0, b"12345678"))
        assert (await peer.next(h2.PING))[2] == b"12345678"
        peer.write(h2.word_frame(h2.WINDOW_UPDATE, 1, 50))
        assert len((await peer.next(h2.DATA))[2]) == 50

    play(scene)


def test_large_bodies_are_asked_for_piece_by_piece() -> None:
    body = b"0123456789" * 30_000

    async def scene(here: Door) -> None:
        peer = await here.peer((h2.WINDOW, h2.MOST_WINDOW))
        peer.write(h2.word_frame(h2.WINDOW_UPDATE, 0, 1 << 30))
        peer.write(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, peer.block()))
        sent, windows = 0, {0: 1 << 17, 1: 1 << 16}
        while sent < len(body):
            room = min(*windows.values(), 16384, len(body) - sent)
            if room:
                ends = h2.END_STREAM if sent + room == len(body) else 0
                peer.write(h2.frame(h2.DATA, ends, 1, body[sent : sent + room]))
                sent += room
                windows = {number: left - room for number, left in windows.items()}
                continue
            _, number, payload = await peer.next(h2.WINDOW_UPDATE)
            windows[number] += h2.word_in(payload)
        assert await peer.answers(1) == {1: body}

    play(scene)


def test_one_who_is_refused_early_need_not_send_the_rest() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        peer.write(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, peer.block(b"/locked")))
        flags, _, _ = await peer.next(h2.HEADERS)
        assert flags & h2.END_STREAM
        assert h2.word_in((await peer.next(h2.RST_STREAM))[2]) == h2.Code.NO_ERROR
        peer.write(h2.frame(h2.DATA, h2.END_STREAM, 1, b"was on its way"), peer.request(3))
        assert await peer.answers(3) == {3: b"hello"}

    play(scene)


def test_one_who_cancels_or_hangs_up_is_noticed() -> None:
    async def scene(here: Door) -> None:
        peer, other = await here.peer(), await here.peer()
        peer.write(peer.request(1, b"", b"/later"), peer.request(3, b"", b"/later"))
        peer.write(h2.word_frame(h2.RST_STREAM, 1, h2.Code.CANCEL), peer.request(5))
        await peer.answers(5)
        assert Echo.left == 1
        peer.writer.close()
        other.write(other.request(1))
        await other.answers(1)
        await asyncio.sleep(0.05)
        assert Echo.left == 2
        for stream in Echo.waiting:
            stream.send(OK, b"to nobody", END)

    play(scene)


def test_more_streams_than_agreed_are_refused_and_the_others_go_on() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        peer.write(*(peer.request(number, b"", b"/later") for number in range(1, 19, 2)))
        _, number, payload = await peer.next(h2.RST_STREAM)
        assert (number, h2.word_in(payload)) == (17, h2.Code.REFUSED_STREAM)
        for stream in Echo.waiting:
            stream.send(OK, b"ok", END)
        assert set((await peer.answers(*range(1, 17, 2))).values()) == {b"ok"}

    play(scene)


BEGUN = h2.frame(h2.HEADERS, 0, 1, b"\x82")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([h2.frame(h2.DATA, 0, 1, b"x")], h2.Code.PROTOCOL_ERROR),
        ([h2.frame(h2.DATA, 0, 0, b"x")], h2.Code.PROTOCOL_ERROR),
        ([h2.frame(h2.HEADERS, h2.END_HEADERS, 2, b"\x82")], h2.Code.PROTOCOL_ERROR),
        ([h2.frame(h2.HEADERS, h2.END_HEADERS | h2.PADDED, 1, b"\x09\x82")], h2.Code.PROTOCOL_ERROR),
        ([h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\xff\xff\xff\xff\xff")], h2.Code.COMPRESSION_ERROR),
        ([h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\x40\x0aab")], h2.Code.COMPRESSION_ERROR),
        ([BEGUN, h2.frame(h2.PING, 0, 0, b"12345678")], h2.Code.PROTOCOL_ERROR),
        ([h2.frame(h2.CONTINUATION, 0, 1, b"")], h2.Code.PROTOCOL_ERROR),
        ([h2.frame(h2.PUSH_PROMISE, 0, 1, b"")], h2.Code.PROTOCOL_ERROR),
        ([h2.frame(h2.PING, 0, 0, b"short")], h2.Code.PROTOCOL_ERROR),
        ([h2.frame(h2.SETTINGS, 0, 0, b"short")], h2.Code.FRAME_SIZE_ERROR),
        ([h2.frame(h2.SETTINGS, h2.ACK, 0, b"123456")], h2.Code.PROTOCOL_ERROR),
        ([h2.settings_frame([(h2.WINDOW, 1 << 31)])], h2.Code.FLOW_CONTROL_ERROR),
        ([h2.settings_frame([(h2.FRAME_SIZE, 5)])], h2.Code.PROTOCOL_ERROR),
        ([h2.word_frame(h2.WINDOW_UPDATE, 0, 0)], h2.Code.FLOW_CONTROL_ERROR),
        ([h2.word_frame(h2.WINDOW_UPDATE, 0, h2.MOST_WINDOW)], h2.Code.FLOW_CONTROL_ERROR),
        ([h2.word_frame(h2.WINDOW_UPDATE, 7, 1)], h2.Code.PROTOCOL_ERROR),
        ([h2.frame(h2.WINDOW_UPDATE, 0, 0, b"123")], h2.Code.FRAME_SIZE_ERROR),
        ([h2.word_frame(h2.RST_STREAM, 9, 0)], h2.Code.PROTOCOL_ERROR),
        ([b"\xff\xff\xff" + h2.frame(h2.DATA, 0, 1)[3:]], h2.Code.FRAME_SIZE_ERROR),
        ([h2.frame(h2.PING, 0, 0, b"12345678")] * 200, h2.Code.ENHANCE_YOUR_CALM),
        ([SETTINGS] * 200, h2.Code.ENHANCE_YOUR_CALM),
        ([BEGUN, *[h2.frame(h2.CONTINUATION, 0, 1)] * 200], h2.Code.ENHANCE_YOUR_CALM),
        ([BEGUN, *[h2.frame(h2.CONTINUATION, 0, 1, b"\x82" * 999)] * 3], h2.Code.ENHANCE_YOUR_CALM),
        ([h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\x82" * 1500)], h2.Code.ENHANCE_YOUR_CALM),
        ([h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"x" * 4000)], h2.Code.ENHANCE_YOUR_CALM),
    ],
)  # fmt: skip
def test_one_who_breaks_the_protocol_is_told_why_and_let_go(frames: list[bytes], code: h2.Code) -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        peer.write(*frames)
        found, why = await peer.goodbye()
        assert found is code
        assert why
        assert await asyncio.wait_for(peer.reader.read(), 5) == b""
        good = await here.peer()
        good.write(good.request(1))
        assert await good.answers(1) == {1: b"hello"}

    play(scene)


def test_a_rapid_reset_is_stopped() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        for number in range(1, 1001, 2):
            peer.write(h2.frame(h2.HEADERS, h2.END_HEADERS, number, peer.block()))
            peer.write(h2.word_frame(h2.RST_STREAM, number, h2.Code.CANCEL))
        assert (await peer.goodbye())[0] is h2.Code.ENHANCE_YOUR_CALM

    play(scene)


def test_data_after_the_end_of_a_stream_ends_the_connection() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        peer.write(peer.request(1, b"", b"/later"), h2.frame(h2.DATA, 0, 1, b"x"))
        assert (await peer.goodbye())[0] is h2.Code.STREAM_CLOSED

    play(scene)


def test_a_bug_of_ours_is_an_internal_error_that_tells_nothing() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        peer.write(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, peer.block(b"/bug")))
        code, why = await peer.goodbye()
        assert code is h2.Code.INTERNAL_ERROR
        assert "a bug of ours" not in why

    play(scene)


def test_one_who_speaks_http1_is_told_where_that_is_spoken() -> None:
    async def scene(here: Door) -> None:
        peer = await here.bare()
        peer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        said = await asyncio.wait_for(peer.reader.read(), 5)
        assert b"HTTP/1.1 505 " in said
        assert said.endswith(b"this port speaks gRPC; HTTP/1.1 is on the node's --port\n")
        head, _, body = said[said.index(b"HTTP/1.1") :].partition(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head
        tls = await here.bare()
        tls.write(b"\x16\x03\x01\x02\x00\x01")
        assert b"HTTP" not in await asyncio.wait_for(tls.reader.read(), 5)

    play(scene)


def test_one_who_begins_and_does_not_go_on_is_given_up() -> None:
    async def scene(here: Door) -> None:
        silent, half = await here.bare(), await here.peer()
        silent.write(h2.PREFACE[:5])
        half.write(h2.frame(h2.HEADERS, 0, 1, b"\x82"))
        assert (await silent.goodbye())[0] is h2.Code.ENHANCE_YOUR_CALM
        assert (await half.goodbye())[0] is h2.Code.ENHANCE_YOUR_CALM

    play(scene)


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer((h2.WINDOW, 0))
        peer.write(peer.request(1))
        _, number, payload = await peer.next(h2.RST_STREAM)
        assert (number, h2.word_in(payload)) == (1, h2.Code.CANCEL)
        assert Echo.left == 1

    play(scene)


def test_a_silent_peer_is_asked_whether_it_is_there() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        _, _, payload = await peer.next(h2.PING)
        peer.write(h2.frame(h2.PING, h2.ACK, 0, payload), peer.request(1))
        assert await peer.answers(1) == {1: b"hello"}

    play(scene, Http2Limits(idle_wait_s=0.1))


def test_more_connections_than_allowed_are_told_to_come_back() -> None:
    async def scene(here: Door) -> None:
        for _ in range(2):
            peer = await here.peer()
            peer.write(peer.request(1))
            await peer.answers(1)
        assert (await (await here.peer()).goodbye())[0] is h2.Code.REFUSED_STREAM

    play(scene, Http2Limits(connections=2))


def test_a_server_that_leaves_answers_what_was_on_its_way() -> None:
    async def scene(here: Door) -> None:
        peer, idle = await here.peer(), await here.peer()
        peer.write(peer.request(1, b"", b"/later"))
        await asyncio.sleep(0.05)
        leaving = asyncio.create_task(here.server.stop(5.0))
        _, _, hint = await peer.next(h2.GOAWAY)
        assert h2.word_in(hint[:4]) == h2.MOST_WINDOW
        peer.write(peer.request(3))  # crosses the goodbye
        _, _, ping = await peer.next(h2.PING)
        for each in (peer, idle):
            each.write(h2.frame(h2.PING, h2.ACK, 0, ping))
        assert await peer.answers(3) == {3: b"hello"}
        Echo.waiting[0].send(OK, b"goodbye", END)
        assert await peer.answers(1) == {1: b"goodbye"}
        began_s = time.monotonic()
        await leaving
        assert time.monotonic() - began_s < 2

    play(scene)


def test_one_who_does_not_answer_a_goodbye_holds_nobody_up() -> None:
    async def scene(here: Door) -> None:
        peer = await here.peer()
        peer.write(peer.request(1))
        await peer.answers(1)
        began_s = time.monotonic()
        await here.server.stop(20.0)
        assert time.monotonic() - began_s < 5

    play(scene)


BLOCKS = st.sampled_from(
    [
        b"\x82",
        b"\x83\x86",
        bytes(hpack.Encoder().encode(HEADERS)),
        h2.header_block([(b":path", b"/later")]),
        h2.header_block([(b":path", b"/locked")]),
        b"\x3f\xe1\x1f",
        b"\xbe",
    ]
)
FRAMES = st.builds(
    h2.frame,
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x25, 0x2D, 0xFF]),
    st.sampled_from([0, 1, 1, 3, 3, 5, 7, 2, h2.MOST_WINDOW]),
    st.one_of(
        BLOCKS, st.binary(max_size=20), st.integers(0, 1 << 31).map(lambda word: struct.pack(">L", word))
    ),
)


@given(st.lists(FRAMES, max_size=30), st.data())
def test_whatever_frames_come_nothing_fails_unforeseen(frames: list[bytes], data: st.DataObject) -> None:
    Echo.waiting, wire = [], Wire()
    connection = Http2Connection(Http2Server(Echo, QUICK))
    connection.connection_made(wire)
    everything = h2.PREFACE + SETTINGS + b"".join(frames)
    at = 0
    while at < len(everything):
        size = data.draw(st.integers(1, 60))
        connection.data_received(everything[at : at + size])
        at += size
    for stream in Echo.waiting:
        stream.send(OK, b"late", END)
    connection.check(time.monotonic())
    assert b"something went wrong here" not in wire.said
    connection.connection_lost(None)
    assert all(stream.gone or stream.said_all for stream in Echo.waiting)


PAIRS = st.lists(
    st.tuples(st.sampled_from([b":path", b"x-a", b"x-b"]), st.sampled_from([b"", b"1", b"2" * 60, b"\xff"])),
    max_size=4,
)


@given(st.lists(st.tuples(PAIRS, st.sampled_from([None, 0, 64, 200, 4096])), max_size=12))
def test_remembered_headers_are_the_headers_that_were_sent(
    blocks: list[tuple[list[tuple[bytes, bytes]], int | None]],
) -> None:
    encoder, reader = hpack.Encoder(), h2.HeaderReader(4096)
    for pairs, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        first: dict[bytes, bytes] = {}
        for name, value in pairs:
            first.setdefault(name, value)
        assert reader.read(bytes(encoder.encode(pairs))) == first


def test_long_headers_are_written_as_hpack_reads_them() -> None:
    for size in (0, 126, 127, 128, 300, 20_000):
        pairs = [(b"grpc-message", b"x" * size)]
        assert hpack.Decoder().decode(h2.header_block(pairs), raw=True) == pairs
