"""gRPC over HTTP/2: messages, statuses, deadlines, compression. It knows no model.

A call is an `Rpc`: its headers open a door (or refuse, before a message is read), its messages go
there, and what the door says goes back. A unary door replies once; a streaming one answers each
message in the order in which they came, whoever is ready first.
"""

from __future__ import annotations

import gzip
import logging
import struct
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import quote

from forebay.core import Permission, Principal
from forebay.core.errors import (
    Broken,
    Conflict,
    Died,
    Forbidden,
    ForebayError,
    Full,
    HeadersTooLarge,
    Late,
    Malformed,
    NotFound,
    NotReady,
    OverLimit,
    Slow,
    StorageFull,
    TooLarge,
    Unauthenticated,
    UnknownMedia,
    Unsupported,
    message_for,
)
from forebay.serving.node.encoding import decoded
from forebay.serving.node.http2 import Http2Limits, Http2Server
from forebay.serving.node.http2_frames import Headers, header_block
from forebay.serving.node.http2_sending import Peer, Stream

if TYPE_CHECKING:
    from forebay.serving.engine import Outcome
    from forebay.serving.node.service import Node
    from forebay.serving.node.tracing import Tracing

_PREFIX = struct.Struct(">BL")
_UNITS_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_LONGEST_TIMEOUT = 8
_LEAST_BYTES_PER_S = 64 << 10
_WORTH_BYTES = 1024
_MOST_TURNS = 4096
_ONE = "the call takes exactly one whole message"
_PLAIN = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_log = logging.getLogger("forebay.node")


class Status(IntEnum):
    """gRPC's status codes."""

    OK = 0
    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


_STATUSES: Mapping[type[ForebayError], Status] = {
    Malformed: Status.INVALID_ARGUMENT,
    Unauthenticated: Status.UNAUTHENTICATED,
    Forbidden: Status.PERMISSION_DENIED,
    NotFound: Status.NOT_FOUND,
    Slow: Status.DEADLINE_EXCEEDED,
    Conflict: Status.ALREADY_EXISTS,
    TooLarge: Status.RESOURCE_EXHAUSTED,
    UnknownMedia: Status.INVALID_ARGUMENT,
    Full: Status.UNAVAILABLE,
    OverLimit: Status.RESOURCE_EXHAUSTED,
    HeadersTooLarge: Status.RESOURCE_EXHAUSTED,
    Unsupported: Status.UNIMPLEMENTED,
    Died: Status.UNAVAILABLE,
    NotReady: Status.UNAVAILABLE,
    Late: Status.DEADLINE_EXCEEDED,
    StorageFull: Status.RESOURCE_EXHAUSTED,
}


def status_of(error: ForebayError) -> Status:
    """What gRPC calls *error*."""
    return _STATUSES.get(type(error), Status.INTERNAL)


def _head(encoding: bytes = b"") -> bytes:
    pairs = [(b"content-type", b"application/grpc"), (b"grpc-accept-encoding", b"identity, deflate, gzip")]
    return b"\x88" + header_block(pairs + ([(b"grpc-encoding", encoding)] if encoding else []))


_HEADS = {encoding: _head(encoding) for encoding in (b"", b"gzip", b"deflate")}
"""What answers begin with, by their encoding; the first byte is `:status: 200` in the static table."""
_DONE = header_block([(b"grpc-status", b"0")])
_NO_GRPC = header_block([(b":status", b"415")])


@dataclass(frozen=True, slots=True)
class GrpcDoor:
    """One way in. `permission` None means that nobody has to show a key: only health does that.

    `answer` gets each message; a door that does not stream gets exactly one. `protocol` is one of
    `core.PROTOCOLS`; without one, no key that is narrowed to protocols may pass.
    """

    path: str
    permission: Permission | None
    answer: Callable[[Node, Rpc, bytes], None]
    streams: bool = False
    protocol: str = ""


class GrpcServer:
    """Finds the door for each call, and counts how calls end."""

    def __init__(
        self, node: Node, doors: tuple[GrpcDoor, ...], unserved: Mapping[str, str], limits: Http2Limits
    ) -> None:
        self.node = node
        self.answers: Counter[tuple[str, str]] = Counter()
        self.http2 = Http2Server(lambda peer, number, headers: Rpc(self, peer, number, headers), limits)
        self._doors = {door.path.encode(): door for door in doors}
        self._unserved = unserved

    def find(self, path: bytes) -> GrpcDoor:
        """The door at *path*; raises `Unsupported`."""
        door = self._doors.get(path)
        if door is None:
            name = path.decode("latin-1")
            raise Unsupported(self._unserved.get(name, f"there is no method {name[:200]!r} here"))
        return door


class Turn:
    """One message of a stream, and the place for its answer."""

    __slots__ = ("leave", "responses", "rpc")

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self.responses: tuple[bytes, ...] | None = None
        self.leave: Callable[[], None] | None = None

    def answer(self, *responses: bytes) -> None:
        """Send *responses* when their turn has come."""
        self.responses = responses
        self.rpc.advance()


class Rpc(Stream):
    """One call, from its headers to its status."""

    door: GrpcDoor | None = None
    principal: Principal | None = None
    on_gone: Callable[[], None] | None = None
    on_check: Callable[[], None] | None = None
    deadline_s: float | None = None
    message_bytes = 0
    _encoding = b""
    _compressed = False
    _begun = False
    _leaving = False
    _size = 0

    def __init__(self, server: GrpcServer, peer: Peer, number: int, headers: Headers) -> None:
        super().__init__(peer, number, headers)
        self._server = server
        self.node = server.node
        self._chunks: list[bytes] = []
        self._wanted: int | None = None
        self._since_s = self.began_s
        self.turns: deque[Turn] = deque()

    @property
    def caller(self) -> Principal:
        """Who is calling a door that takes a key."""
        assert self.principal is not None
        return self.principal

    @property
    def wait_s(self) -> float:
        """How long the call may take, counted from its beginning."""
        wait_s = self.node.config.request_wait_s
        return wait_s if self.deadline_s is None else min(wait_s, self.deadline_s - self.began_s)

    # What the connection says.

    def opened(self) -> None:
        headers = self.headers
        if not headers.get(b"content-type", b"").startswith(b"application/grpc"):
            self.send(_NO_GRPC, b"", b"")
            return
        try:
            door = self.door = self._server.find(headers.get(b":path", b""))
            self._admit(door)
            if b"grpc-timeout" in headers:
                self.deadline_s = self.began_s + _timeout_s(headers[b"grpc-timeout"])
            self._encoding = _encoding(headers.get(b"grpc-encoding", b""))
        except ForebayError as error:
            self.refuse(error)

    def _admit(self, door: GrpcDoor) -> None:
        """Ask for the key; of a stream again with each message, for it may last longer than the key."""
        if door.permission is not None:
            authorization = self.headers.get(b"authorization", self.node.anonymous)
            self.principal = self.node.admission.admit(authorization, door, None, self.peer)

    def data(self, chunk: bytes) -> None:
        if self.said_all:
            return
        if not self._chunks:
            self._since_s = time.monotonic()
        self._chunks.append(chunk)
        self._size += len(chunk)
        try:
            self._look_at_prefix()
            if self.door is not None and self.door.streams:
                while (message := self._whole()) is not None:
                    self._answer(message)
            elif self._wanted is not None and self._size > _PREFIX.size + self._wanted:
                raise Malformed(_ONE)
        except ForebayError as error:
            self.refuse(error)

    def ended(self) -> None:
        if self.said_all or self.door is None:
            return
        try:
            if self.door.streams:
                if self._size:
                    raise Malformed("the stream ends within a message")
                self.advance()
                return
            message = self._whole()
            if message is None or self._size:
                raise Malformed(_ONE)
            self._answer(message)
        except ForebayError as error:
            self.refuse(error)

    def lost(self) -> None:
        self._count(Status.CANCELLED)
        if self.on_gone is not None:
            self.on_gone()
        for turn in self.turns:
            if turn.leave is not None:
                turn.leave()

    def leaving(self) -> None:
        if self.door is not None and self.door.streams:
            self._leaving = True
            self.advance()

    def check(self, now_s: float, wait_s: float) -> None:
        if self.said_all or self.door is None:
            return
        missing = not self.heard_all and (not self.door.streams or self._size > 0)
        if missing and now_s - self._since_s > wait_s + self._size / _LEAST_BYTES_PER_S:
            self.refuse(Slow("the message took too long to arrive"))
        elif self.door.streams and self.deadline_s is not None and now_s > self.deadline_s:
            self.refuse(Late("the deadline of the stream has passed"))
        elif self.on_check is not None:
            self.on_check()

    # What a door says.

    def reply(self, message: bytes, trailers: bytes = b"") -> None:
        """Answer a unary call; *trailers* is a block of header lines behind the status."""
        self._count(Status.OK)
        self.send(_HEADS[self._dress()], self._framed(message), _DONE + trailers)

    def say(self, message: bytes) -> None:
        """Send one message of a stream."""
        head = b"" if self._begun else _HEADS[self._dress()]
        self._begun = True
        self.send(head, self._framed(message))

    def turn(self) -> Turn:
        """A place in the order of a stream's answers; raises `Full`."""
        if len(self.turns) >= _MOST_TURNS:
            raise Full(f"{_MOST_TURNS} messages of one stream wait for their answers", retry_after_s=1.0)
        turn = Turn(self)
        self.turns.append(turn)
        return turn

    def advance(self) -> None:
        """Send what is ready and whose turn it is; end the stream when nothing more can come."""
        turns = self.turns
        while turns and (responses := turns[0].responses) is not None:
            turns.popleft()
            for response in responses:
                self.say(response)
        if not turns and self._leaving:
            self.refuse(NotReady("the node is leaving; open the stream again", retry_after_s=1.0))
        elif not turns and self.heard_all and not self.said_all:
            self._count(Status.OK)
            self.send(b"" if self._begun else _HEADS[b""], b"", _DONE)

    def refuse(self, error: ForebayError) -> None:
        """End the call with *error*; who is still being worked for leaves the queue."""
        if self.gone or self.said_all:
            return
        status = status_of(error)
        self._count(status)
        pairs = [
            (b"grpc-status", b"%d" % status),
            (b"grpc-message", quote(message_for(error), safe=_PLAIN).encode()),
        ]
        if error.retry_after_s is not None:
            pairs.append((b"retry-after", b"%d" % max(1, ceil(error.retry_after_s))))
        if isinstance(error, OverLimit):
            pairs += [(name.encode(), said.encode()) for name, said in error.standing]
        trailers = header_block(pairs)
        if self.node.tracing is not None:
            trailers += self.traced(self.node.tracing, {}, error)
        if self._begun:
            self.send(b"", b"", trailers)
        else:
            self.send(_HEADS[b""] + trailers, b"", b"")
        for turn in self.turns:
            if turn.leave is not None:
                turn.leave()
        self.turns.clear()

    def traced(
        self,
        tracing: Tracing,
        said: dict[str, str | int],
        result: Outcome | ForebayError,
        began_s: float | None = None,
    ) -> bytes:
        """Tell of this call, or of a message of it that came at *began_s*.

        Returns the header line by which the caller finds the trace, if there is one.
        """
        path = "none" if self.door is None else self.door.path.lstrip("/")
        code = status_of(result) if isinstance(result, ForebayError) else Status.OK
        about = said | {"rpc.system": "grpc", "rpc.method": path, "rpc.grpc.status_code": int(code)}
        if self.principal is not None:
            about["forebay.project"] = self.principal.project
        moment_s = self.began_s if began_s is None else began_s
        found = tracing.tell(path, self.headers, moment_s, about, result)
        return header_block([(b"traceresponse", found.encode())]) if found else b""

    # Messages.

    def _answer(self, message: bytes) -> None:
        assert self.door is not None
        if self.said_all:
            return
        self.message_bytes = len(message)
        if self._compressed:
            message = decoded(message, self._encoding, self.node.config.max_body_bytes)
        try:
            if self.door.streams:
                self._admit(self.door)
            self.door.answer(self.node, self, message)
        except ForebayError as error:
            self.refuse(error)
        except Exception as error:  # noqa: BLE001 (the outermost: one call's failure is its own)
            _log.exception("%s failed", self.door.path)
            self.refuse(Broken(message_for(error)))

    def _look_at_prefix(self) -> None:
        """How long the next message is, as soon as that is here; raises `Malformed` or `TooLarge`."""
        if self._wanted is not None or self._size < _PREFIX.size:
            return
        if len(self._chunks[0]) < _PREFIX.size:
            self._chunks = [b"".join(self._chunks)]
        flag, self._wanted = _PREFIX.unpack_from(self._chunks[0])
        self._compressed = flag == 1
        most = self.node.config.max_body_bytes
        if self._wanted > most:
            raise TooLarge(
                f"the message is larger than the {most} bytes that this node takes; "
                "send fewer rows, or raise FOREBAY_MAX_BODY_BYTES"
            )
        if flag > 1 or (flag and not self._encoding):
            raise Malformed("the message is compressed, but the call does not say how (grpc-encoding)")

    def _whole(self) -> bytes | None:
        """The next message, if all of it is here."""
        if self._wanted is None or self._size < _PREFIX.size + self._wanted:
            return None
        start, end = _PREFIX.size, _PREFIX.size + self._wanted
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks = [data[end:]] if len(data) > end else []
        self._size -= end
        self._wanted = None
        self._look_at_next()
        return data[start:end]

    def _look_at_next(self) -> None:
        if self._size and self.door is not None and self.door.streams:
            self._look_at_prefix()

    def _dress(self) -> bytes:
        """Answers are compressed as the caller's messages were."""
        return self._encoding if self._compressed else b""

    def _framed(self, message: bytes) -> bytes:
        encoding = self._dress()
        if not encoding or len(message) < _WORTH_BYTES:
            return _PREFIX.pack(0, len(message)) + message
        packed = gzip.compress(message, 1, mtime=0) if encoding == b"gzip" else zlib.compress(message, 1)
        return _PREFIX.pack(1, len(packed)) + packed

    def _count(self, status: Status) -> None:
        path = "none" if self.door is None else self.door.path
        self._server.answers[path, status.name] += 1


def _timeout_s(said: bytes) -> float:
    """A `grpc-timeout`: at most eight digits and a unit.

    >>> _timeout_s(b"250m")
    0.25
    """
    unit = _UNITS_S.get(said[-1:])
    digits = said[:-1]
    if unit is None or not digits.isdigit() or len(digits) > _LONGEST_TIMEOUT:
        raise Malformed(f"grpc-timeout {said[:20]!r} is no number of at most eight digits with a unit")
    return int(digits) * unit


def _encoding(said: bytes) -> bytes:
    if said in (b"", b"identity"):
        return b""
    if said not in _HEADS:
        raise Unsupported(f"unknown grpc-encoding {said[:20]!r}; use gzip, deflate or identity")
    return said
