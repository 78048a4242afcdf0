"""Around every request: its id, its size, its line in the log, and the last net under it."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forebay.control.hub.problems import problem_for
from forebay.control.hub.telling import errand_of, tell
from forebay.core.errors import ForebayError, Slow, TooLarge

_log = logging.getLogger("forebay.hub.access")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PAUSE_S = 30.0


class Border:
    """The outermost part of the application.

    Gives each request an id (the caller's own `X-Request-Id`, if it is a plain one) and says it in the
    answer; reads no body beyond *body_bytes* unless the route has called `allow_body`, and waits for
    no body that has paused for half a minute; answers what nobody has foreseen; writes one line a request,
    without query and headers, where secrets could stand; sees to it that the audit hears of what was refused.
    """

    def __init__(self, app: ASGIApp, body_bytes: int) -> None:
        self._app = app
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(scope, receive, send, self._body_bytes)
        try:
            await self._app(scope, passage.receive, passage.send)
        except Exception as error:
            if passage.status:  # half an answer is out: only breaking off tells the caller
                raise
            await problem_for(Request(scope), error)(scope, passage.receive, passage.send)
        finally:
            passage.log()
            await passage.tell()


def allow_body(request: Request, size_bytes: int) -> None:
    """Let this request's body have *size_bytes*; to be called before it is read."""
    request.state.passage.body_bytes = size_bytes


class _Passage:
    """One request on its way in and its answer on the way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body_bytes: int) -> None:
        self.body_bytes = body_bytes
        self.status = 0
        self._scope, self._receive, self._send = scope, receive, send
        self._began_s = time.perf_counter()
        self._arrived_bytes = 0
        self._arrived = False
        headers = dict(scope["headers"])
        self._declared_bytes = _number(headers.get(b"content-length", b""))
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        self._id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        self._errand = errand_of(scope)
        self._told = False
        scope.setdefault("state", {}).update(request_id=self._id, passage=self, errand=self._errand)

    async def receive(self) -> Message:
        if self._arrived:
            return await self._receive()  # which now waits for the caller to leave
        if self._declared_bytes > self.body_bytes:
            raise _told(self._too_large())
        message = await self._next()
        if message is None:
            raise _told(Slow(f"nothing more of the body has arrived for {_PAUSE_S:g} s; send it again"))
        self._arrived_bytes += len(message.get("body", b""))
        self._arrived = not message.get("more_body", False)
        if self._arrived_bytes > self.body_bytes:
            raise _told(self._too_large())
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status < 500:
                await self.tell()
            message = {**message, "headers": [*message["headers"], (b"x-request-id", self._id.encode())]}
        await self._send(message)

    async def tell(self) -> None:
        """Let the audit hear of it, once: before the answer, or after one that says that we have failed.

        Of 503 it hears nothing: then nothing was done, and nobody is to wait a second time for a database
        that is away. The line in the log tells of it.
        """
        if not self._told and self.status != HTTPStatus.SERVICE_UNAVAILABLE:
            self._told = True
            await tell(self._scope, self._errand, self.status)

    def log(self) -> None:
        took_ms = (time.perf_counter() - self._began_s) * 1e3
        path = self._scope.get("raw_path", b"").decode("latin-1")
        who = self._scope["state"].get("key_id", "-")
        _log.info(
            "%s %s %s %.1f ms key %s id %s", self._scope["method"], path, self.status, took_ms, who, self._id
        )

    async def _next(self) -> Message | None:
        """The next part of the body; None if it does not come."""
        try:
            async with asyncio.timeout(_PAUSE_S):
                return await self._receive()
        except TimeoutError:
            return None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"a body here may have at most {self.body_bytes:,} bytes")


def _told(error: ForebayError) -> HTTPException:
    """*error* in the only form that FastAPI lets pass while it reads a body."""
    told = HTTPException(error.status, str(error))
    told.__cause__ = error
    return told


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0
