"""Counts and times every request of the hub."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forebay.control.monitor import HubMetrics

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measured:
    """ASGI middleware: *app*, with each answer told to *metrics* under its route's template."""

    def __init__(self, app: ASGIApp, metrics: HubMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # unless an answer begins

        async def listening(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began_s = time.perf_counter()
        try:
            await self._app(scope, receive, listening)
        finally:
            elapsed_s = time.perf_counter() - began_s
            self._metrics.answered(_template(scope), _method(scope), status, elapsed_s)


def _template(scope: Scope) -> str:
    """The path as it was declared, so that names in it make no series of their own."""
    return getattr(scope.get("route"), "path", "(none)")


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "(other)"
