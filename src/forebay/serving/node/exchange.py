"""One HTTP request and its answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from forebay.core import Principal

if TYPE_CHECKING:
    from forebay.serving.node.doors import Door
    from forebay.serving.node.http import Connection

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
BINARY = b"application/octet-stream"


@lru_cache(maxsize=256)
def _start(status: int, content_type: bytes) -> bytes:
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    return line + b"content-type: " + content_type + b"\r\ncontent-length: "


class Exchange:
    """A request as it arrived, and the place for its answer.

    `headers` keeps only what some door reads, by lower-case name. `gone` turns true when the caller
    hangs up; `on_gone` is told then, once.
    """

    # Defaults stand on the class: one of these is made for every request, and most change few of them.
    target = b""
    method = b""
    double: bytes | None = None
    size = 0
    head_size = 0
    keep_alive = True
    gone = False
    on_gone: Callable[[], None] | None = None
    response: bytes | None = None
    refusal: Exception | None = None
    principal: Principal | None = None
    door: Door | None = None
    model = ""
    version: str | None = None

    def __init__(self, connection: Connection, began_s: float) -> None:
        self.connection = connection
        self._chunks: list[bytes] = []
        self.began_s = began_s
        self.headers: dict[bytes, bytes] = {}

    def fill(self, body: bytes) -> None:
        """Keep the whole body."""
        self._chunks = [body]
        self.size = len(body)

    def add(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        self._chunks.append(chunk)
        self.size += len(chunk)

    def drop_body(self) -> None:
        """Forget what has arrived of the body."""
        self._chunks.clear()

    @property
    def body(self) -> bytes:
        """The body as it came, still encoded if it was."""
        chunks = self._chunks
        if len(chunks) == 1:
            return chunks[0]
        return b"".join(chunks)

    def reply(self, status: int, body: bytes, content_type: bytes = JSON, headers: bytes = b"") -> None:
        """Answer; *headers* are whole lines, each with its CRLF. Nothing is sent to one who has left."""
        if self.gone:
            return
        connection = self.connection
        self.response = b"".join(
            (
                _start(status, content_type),
                b"%d\r\n" % len(body),
                connection.server.date_line,
                headers,
                b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n",
                b"" if self.method == b"HEAD" else body,
            )
        )
        connection.server.answers[self.door.path if self.door is not None else "none", status] += 1
        connection.flush()

    def lost(self) -> None:
        """The caller has hung up."""
        if not self.gone:
            self.gone = True
            if self.on_gone is not None:
                self.on_gone()
